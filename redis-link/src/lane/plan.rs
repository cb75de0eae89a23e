//! Which calls become one command.
//!
//! A call of a script joins the last unit of that script that still has room, unless a call with its order key
//! stands in a later unit: then it would overtake that one.

use hashbrown::HashMap;

use crate::call::{Call, Operation};
use crate::queue::Queued;
use crate::script::Script;
use crate::slot::slot;

/// Bytes of keys and arguments after which a command is not made larger.
const UNIT_BYTES: usize = 256 * 1024;

/// What becomes one command.
pub(super) enum Unit {
    Call(Queued),
    Merged(&'static Script, Vec<Queued>),
}

struct Open {
    unit: usize,
    bytes: usize,
    calls: usize,
}

/// Commands for a batch of calls, in their order. In a cluster, only calls of one slot become one.
pub(super) fn plan(calls: Vec<Queued>, by_slot: bool) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(calls.len());
    let is_script = |queued: &Queued| matches!(queued.call.operation, Operation::Script { .. });
    if !calls.iter().any(is_script) {
        return calls.into_iter().map(Unit::Call).collect();
    }
    let mut open: HashMap<(*const Script, u16, bool, bool), Open> = HashMap::new();
    let mut last: HashMap<u64, usize> = HashMap::new();
    for queued in calls {
        let Call {
            order,
            key,
            operation,
        } = &queued.call;
        let order = *order;
        let Operation::Script { script, .. } = operation else {
            last.insert(order, units.len());
            units.push(Unit::Call(queued));
            continue;
        };
        let script: &'static Script = script;
        if queued.alone {
            last.insert(order, units.len());
            units.push(Unit::Merged(script, vec![queued]));
            continue;
        }
        let slot = match key {
            Some(key) if by_slot => slot(key),
            _ => 0,
        };
        let size = queued.call.size();
        let group = (std::ptr::from_ref(script), slot, queued.asking, queued.in_full);
        if let Some(found) = open.get_mut(&group)
            && found.calls < script.merge
            && found.bytes + size <= UNIT_BYTES
            && last.get(&order).is_none_or(|last| *last <= found.unit)
            && let Some(Unit::Merged(_, calls)) = units.get_mut(found.unit)
        {
            found.calls += 1;
            found.bytes += size;
            last.insert(order, found.unit);
            calls.push(queued);
            continue;
        }
        let unit = units.len();
        open.insert(
            group,
            Open {
                unit,
                bytes: size,
                calls: 1,
            },
        );
        last.insert(order, unit);
        units.push(Unit::Merged(script, vec![queued]));
    }
    units
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::reply;

    static ONE: Script = Script::new("one", 1, 0, 3);
    static OTHER: Script = Script::new("other", 1, 0, 1000);

    /// What a call was, read back from the plan.
    fn number(queued: &Queued) -> (u64, usize) {
        let key = queued
            .call
            .key
            .as_ref()
            .expect("every call of the test has a key");
        let text = std::str::from_utf8(key).expect("digits");
        (queued.call.order, text.parse().expect("digits"))
    }

    proptest! {
        /// Nothing is lost, calls of one order key keep their order, units are of one script and not too large.
        #[test]
        fn order_keys_keep_their_order(kinds in prop::collection::vec((0_u64..4, 0_u8..3), 0..60), by_slot: bool) {
            let calls: Vec<_> = kinds.iter().enumerate().map(|(index, (order, kind))| {
                let key = Bytes::from(index.to_string());
                let call = match kind {
                    0 => Call::command(*order, Some(key), redis::cmd("GET")),
                    1 => Call::script(*order, &ONE, vec![key], Vec::new()),
                    _ => Call::script(*order, &OTHER, vec![key], Vec::new()),
                };
                Queued::new(call, reply::pair().0)
            }).collect();
            let count = calls.len();
            let mut seen = Vec::new();
            for unit in plan(calls, by_slot) {
                match unit {
                    Unit::Call(queued) => seen.push(number(&queued)),
                    Unit::Merged(script, calls) => {
                        prop_assert!(!calls.is_empty() && calls.len() <= script.merge);
                        seen.extend(calls.iter().map(number));
                    }
                }
            }
            prop_assert_eq!(seen.len(), count);
            for order in 0..4 {
                let of_key: Vec<_> = seen.iter().filter(|(key, _)| *key == order).map(|(_, index)| *index).collect();
                prop_assert!(of_key.is_sorted(), "{:?}", of_key);
            }
        }
    }

    #[test]
    fn neighbours_of_one_script_become_one_command() {
        let calls = (0..7)
            .map(|index| {
                let key = Bytes::from(index.to_string());
                Queued::new(Call::script(index, &ONE, vec![key], Vec::new()), reply::pair().0)
            })
            .collect();
        assert_eq!(plan(calls, false).len(), 3);
    }
}
