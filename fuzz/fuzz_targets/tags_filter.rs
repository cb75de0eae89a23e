//! Tags filters in both encodings: however deep or large, they are refused or answer, and what is asked in reverse is
//! answered in reverse.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use tidegate::protocol::message::FilterNode;
use tidegate::tags::Filter;
use tidegate_fuzz::choice;

fuzz_target!(|data: &[u8]| {
    let Some((encoding, rest)) = choice(data) else {
        return;
    };
    let node = if encoding & 1 == 0 {
        serde_json::from_slice(rest).ok()
    } else {
        FilterNode::decode(rest).ok()
    };
    let Some(node): Option<FilterNode> = node else {
        return;
    };
    let opposite = FilterNode {
        op: "not".to_owned(),
        nodes: vec![node.clone()],
        ..FilterNode::default()
    };
    let Ok(filter) = Filter::new(node) else { return };
    for tags in [
        &[][..],
        &[("a", "")],
        &[("a", "1.50"), ("b", "x")],
        &[("a", "-3"), ("", "abc")],
    ] {
        let tags: BTreeMap<String, String> = tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let matches = filter.matches(&tags);
        // One level deeper may be one too many.
        if let Ok(opposite) = Filter::new(opposite.clone()) {
            assert_ne!(opposite.matches(&tags), matches);
        }
    }
});
