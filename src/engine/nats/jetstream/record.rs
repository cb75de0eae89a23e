//! What a message of the stream says of its channel, in its headers. Pure.
//!
//! | Header | Value |
//! |---|---|
//! | `Tidegate-Position` | offset, epoch |
//! | `Tidegate-Kept` | publications that may be read; ms that they may be read; ms that the position lives |
//! | `Tidegate-Version` | newest version, its epoch in base64; left out if there is none |
//! | `Tidegate-Before` | sequences of the publications before this message, newest first; left out if there are none |
//!
//! Any process may publish to a subject, so what cannot be read is as if it were not there.

use std::time::Duration;

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::gates::Known;
use crate::engine::{Epoch, Position, Publication, Retention};

/// Sequences that a message names. That many messages are read at once.
const BEFORE: usize = 32;

/// Ours have eight characters.
const LONGEST_EPOCH: usize = 64;

const POSITION: &str = "Tidegate-Position";
const KEPT: &str = "Tidegate-Kept";
const VERSION: &str = "Tidegate-Version";
const PRECEDING: &str = "Tidegate-Before";

/// The channel as of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset of the message's publication; of the newest one, if it has none.
    pub offset: u64,
    /// Epoch of the offset.
    pub epoch: Epoch,
    /// Publications that may be read.
    pub size: usize,
    /// Milliseconds for which they may be, from the newest one on.
    pub ttl_ms: u64,
    /// Milliseconds that offset and epoch live, from this message on.
    pub meta_ttl_ms: u64,
    /// Newest version; 0 = none.
    pub version: u64,
    /// Scope of the version.
    pub version_epoch: String,
    /// Sequences of the publications before this message, newest first.
    pub before: Vec<u64>,
}

impl Record {
    /// Of the publication that comes after what is known.
    pub(super) fn after(
        top: Option<&Known>,
        publication: &Publication,
        version_epoch: &str,
        retention: Retention,
    ) -> Self {
        let (version, version_epoch) = match top {
            Some(top) if publication.version == 0 => (top.record.version, top.record.version_epoch.clone()),
            _ => (publication.version, version_epoch.to_owned()),
        };
        let most = BEFORE.min(retention.size.saturating_sub(1));
        Self {
            offset: top.map_or(0, |top| top.record.offset).saturating_add(1),
            epoch: top.map_or_else(Epoch::random, |top| top.record.epoch.clone()),
            size: retention.size,
            ttl_ms: milliseconds(retention.ttl),
            meta_ttl_ms: milliseconds(retention.meta_ttl),
            version,
            version_epoch,
            before: top.into_iter().flat_map(Known::publications).take(most).collect(),
        }
    }

    /// Of a channel that nobody has published to yet.
    pub(super) fn first(meta_ttl: Duration) -> Self {
        Self {
            offset: 0,
            epoch: Epoch::random(),
            size: 0,
            ttl_ms: 0,
            meta_ttl_ms: milliseconds(meta_ttl),
            version: 0,
            version_epoch: String::new(),
            before: Vec::new(),
        }
    }

    /// The same position, and nothing before it.
    pub(super) fn removing(top: &Self) -> Self {
        Self {
            before: Vec::new(),
            ..top.clone()
        }
    }

    /// The same position for another while.
    pub(super) fn renewing(top: &Known) -> Self {
        Self {
            before: top.publications().take(BEFORE).collect(),
            ..top.record.clone()
        }
    }

    /// Offset and epoch.
    pub(super) fn position(&self) -> Position {
        Position {
            offset: self.offset,
            epoch: self.epoch.clone(),
        }
    }

    /// Whether a publication of this version is new; an empty epoch matches any.
    pub(super) fn accepts(&self, version: u64, version_epoch: &str) -> bool {
        let is_other = !version_epoch.is_empty() && version_epoch != self.version_epoch;
        version == 0 || is_other || version > self.version
    }

    /// As headers.
    #[must_use]
    pub fn to_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(POSITION, format!("{} {}", self.offset, self.epoch.as_str()));
        headers.insert(
            KEPT,
            format!("{} {} {}", self.size, self.ttl_ms, self.meta_ttl_ms),
        );
        if self.version > 0 {
            let epoch = URL_SAFE_NO_PAD.encode(&self.version_epoch);
            // Values lose the blanks at their ends.
            headers.insert(VERSION, format!("{} {epoch}", self.version).trim_end());
        }
        if !self.before.is_empty() {
            let before: Vec<String> = self.before.iter().map(u64::to_string).collect();
            headers.insert(PRECEDING, before.join(" "));
        }
        headers
    }

    /// Reads headers; `None` if they are not those of a record.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        Self::read(|name| text(headers, name))
    }

    /// Reads headers by their names; `None` if they are not those of a record.
    pub fn read<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        let (offset, epoch) = parse_position(header(POSITION)?)?;
        let mut kept = header(KEPT)?.split(' ');
        let mut kept = || kept.next()?.parse::<u64>().ok();
        let (size, ttl_ms, meta_ttl_ms) = (kept()?, kept()?, kept()?);
        let (version, version_epoch) = match header(VERSION) {
            None => (0, String::new()),
            Some(value) => {
                let (version, epoch) = value.split_once(' ').unwrap_or((value, ""));
                let epoch = String::from_utf8(URL_SAFE_NO_PAD.decode(epoch).ok()?).ok()?;
                match version.parse().ok()? {
                    0 => (0, String::new()),
                    version => (version, epoch),
                }
            }
        };
        let before = header(PRECEDING).unwrap_or_default().split(' ');
        let before = before.filter(|text| !text.is_empty()).take(BEFORE);
        Some(Self {
            offset,
            epoch,
            size: usize::try_from(size).unwrap_or(usize::MAX),
            ttl_ms,
            meta_ttl_ms,
            version,
            version_epoch,
            before: before.map(|text| text.parse().ok()).collect::<Option<_>>()?,
        })
    }
}

/// Offset and epoch in the headers of a message, if it has them.
#[must_use]
pub fn position(headers: &HeaderMap) -> Option<(u64, Epoch)> {
    parse_position(text(headers, POSITION)?)
}

fn parse_position(value: &str) -> Option<(u64, Epoch)> {
    let (offset, epoch) = value.split_once(' ')?;
    // It goes into headers again.
    let is_plain = epoch.bytes().all(|byte| byte.is_ascii_graphic());
    let is_epoch = !epoch.is_empty() && epoch.len() <= LONGEST_EPOCH && is_plain;
    is_epoch.then(|| Some((offset.parse().ok()?, Epoch::new(epoch))))?
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers.get(name).map(|value| value.as_str())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(offset: u64, sequence: u64, before: Vec<u64>, is_mark: bool) -> Known {
        let record = Record {
            offset,
            before,
            ..Record::first(Duration::from_secs(60))
        };
        Known::new(sequence, 0, record, is_mark)
    }

    fn retention(size: usize) -> Retention {
        Retention {
            size,
            ttl: Duration::from_secs(1),
            meta_ttl: Duration::from_secs(2),
        }
    }

    #[test]
    fn publications_name_those_before_them() {
        let publication = Publication::default();
        let first = Record::after(None, &publication, "", retention(3));
        assert_eq!((first.offset, &first.before), (1, &vec![]));
        let top = known(7, 90, vec![80, 70, 60], false);
        let next = Record::after(Some(&top), &publication, "", retention(3));
        assert_eq!(
            (next.offset, &next.epoch, &next.before),
            (8, &top.record.epoch, &vec![90, 80])
        );
        let mark = Record::renewing(&top);
        assert_eq!((mark.offset, &mark.before), (7, &vec![90, 80, 70, 60]));
        let after_mark = known(7, 95, mark.before, true);
        assert_eq!(
            Record::after(Some(&after_mark), &publication, "", retention(9)).before,
            [90, 80, 70, 60]
        );
        let removed = known(7, 99, Record::removing(&top.record).before, true);
        let next = Record::after(Some(&removed), &publication, "", retention(9));
        assert_eq!((next.offset, next.before.len()), (8, 0));
    }

    #[test]
    fn a_position_lives_as_long_as_it_says() {
        let top = known(1, 1, vec![], false);
        assert!(!top.is_forgotten(60_000) && !top.is_half_gone(30_000));
        assert!(top.is_forgotten(60_001) && top.is_half_gone(30_001));
        // A clock that is behind that of the servers.
        assert!(!top.is_forgotten(-5));
    }

    prop_compose! {
        fn record()(
            offset: u64,
            epoch in "[a-z]{1,8}",
            size in 0_usize..1000,
            ttl_ms: u64,
            meta_ttl_ms: u64,
            version in prop_oneof![Just(0), any::<u64>()],
            version_epoch: String,
            before in proptest::collection::vec(any::<u64>(), 0..BEFORE),
        ) -> Record {
            let version_epoch = if version == 0 { String::new() } else { version_epoch };
            Record { offset, epoch: Epoch::new(&epoch), size, ttl_ms, meta_ttl_ms, version, version_epoch, before }
        }
    }

    proptest! {
        #[test]
        fn records_survive(record in record()) {
            let headers = record.to_headers();
            prop_assert_eq!(position(&headers), Some((record.offset, record.epoch.clone())));
            prop_assert_eq!(Record::of(&headers), Some(record));
        }

        #[test]
        fn anything_may_be_read(texts in proptest::collection::vec("[ 0-9a-zA-Z_=-]{0,30}", 4)) {
            let mut headers = HeaderMap::new();
            for (name, text) in [POSITION, KEPT, VERSION, PRECEDING].into_iter().zip(texts) {
                headers.insert(name, text);
            }
            if let Some(record) = Record::of(&headers) {
                prop_assert_eq!(Record::of(&record.to_headers()), Some(record));
            }
        }
    }
}
