//! Counters by code.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::table::Counter;

/// How many codes in a row, from the first of a range, have a counter that needs no lock.
const OWN: u32 = 32;
/// How many other codes are told apart. A backend chooses codes as well (server API, tokens), and each is a series.
const OTHERS: usize = 256;
/// What stands for all codes beyond those.
const REST: u32 = 0;

/// Counters by code, which appear with their first use.
#[derive(Debug)]
pub(super) struct Codes {
    first: u32,
    own: [Counter; OWN as usize],
    others: Mutex<BTreeMap<u32, u64>>,
}

impl Codes {
    /// Counters for any code, the fastest for those of the protocol, which begin at `first`.
    pub(super) fn from(first: u32) -> Self {
        Self {
            first,
            own: std::array::from_fn(|_| Counter::default()),
            others: Mutex::default(),
        }
    }

    pub(super) fn count(&self, code: u32) {
        let index = code.checked_sub(self.first).filter(|index| *index < OWN);
        if let Some(own) = index.and_then(|index| self.own.get(index as usize)) {
            own.add(1);
            return;
        }
        let mut others = self.others.lock();
        let is_known = others.len() < OTHERS || others.contains_key(&code);
        *others.entry(if is_known { code } else { REST }).or_default() += 1;
    }

    /// Codes that have been counted, in ascending order.
    pub(super) fn read(&self) -> BTreeMap<u32, u64> {
        let mut read = self.others.lock().clone();
        let own = (self.first..).zip(self.own.iter().map(Counter::get));
        read.extend(own.filter(|(_, count)| *count > 0));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_code_is_counted() {
        let codes = Codes::from(3500);
        for code in [3501, 3501, 3500, 3531, 3532, 3499, 0, u32::MAX] {
            codes.count(code);
        }
        let expected = [
            (0, 1),
            (3499, 1),
            (3500, 1),
            (3501, 2),
            (3531, 1),
            (3532, 1),
            (u32::MAX, 1),
        ];
        assert_eq!(codes.read(), expected.into());
    }

    #[test]
    fn invented_codes_do_not_become_series_without_end() {
        let codes = Codes::from(100);
        for code in 4000..6000 {
            codes.count(code);
        }
        codes.count(103);
        let read = codes.read();
        assert!(read.len() <= OTHERS + 2, "{}", read.len());
        assert_eq!(read.values().sum::<u64>(), 2001);
        assert_eq!(read[&103], 1);
    }
}
