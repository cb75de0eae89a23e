use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::decimal::Decimal;
use super::{Filter, InvalidFilter, MAX_DEPTH, MAX_NODES};
use crate::protocol::message::FilterNode;

fn read(json: &str) -> Result<Filter, InvalidFilter> {
    Filter::new(serde_json::from_str(json).expect("a node"))
}

fn tags(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn every_comparison_with_and_without_the_tag() {
    for (cmp, value, matching, other, missing) in [
        ("eq", r#""val":"abc""#, "abc", "ab", false),
        ("neq", r#""val":"abc""#, "ab", "abc", true),
        ("in", r#""vals":["z","abc"]"#, "abc", "ab", false),
        ("in", r#""vals":["z",""]"#, "", "ab", true),
        ("nin", r#""vals":["z","abc"]"#, "ab", "abc", true),
        ("nin", r#""vals":["z",""]"#, "ab", "z", false),
        ("sw", r#""val":"ab""#, "abc", "cab", false),
        ("ew", r#""val":"bc""#, "abc", "bca", false),
        ("ct", r#""val":"b""#, "abc", "ac", false),
        ("gt", r#""val":"9""#, "10", "9.0", false),
        ("gte", r#""val":"9""#, "9.0", "8.9999999999999999999", false),
        ("lt", r#""val":"-1.5""#, "-1.51", "-1.50", false),
        ("lte", r#""val":"-1.5""#, "-1.50", "-1.4", false),
        ("lt", r#""val":"1""#, "0.9999999999999999999", "1e0", false),
        (
            "gt",
            r#""val":"10000000000000000000000000000""#,
            "10000000000000000000000000000.1",
            "9",
            false,
        ),
    ] {
        let filter = read(&format!(r#"{{"key":"t","cmp":"{cmp}",{value}}}"#)).expect(cmp);
        assert!(
            filter.matches(&tags(&[("t", matching), ("u", other)])),
            "{cmp} {matching}"
        );
        assert!(
            !filter.matches(&tags(&[("t", other), ("u", matching)])),
            "{cmp} {other}"
        );
        assert_eq!(
            filter.matches(&tags(&[("u", matching)])),
            missing,
            "{cmp} without"
        );
    }
    for (cmp, there) in [("ex", true), ("nex", false)] {
        let filter = read(&format!(r#"{{"key":"t","cmp":"{cmp}"}}"#)).expect(cmp);
        assert_eq!(filter.matches(&tags(&[("t", "")])), there);
        assert_eq!(filter.matches(&tags(&[("u", "")])), !there);
    }
}

#[test]
fn what_is_no_number_matches_nothing() {
    for text in [
        "1.",
        ".5",
        " 1",
        "1e3",
        "0x1",
        "1_000",
        "NaN",
        "",
        "+",
        "-",
        "1.2.3",
        "--1",
        "1.12345678901234567890",
        "١",
    ] {
        assert_eq!(Decimal::parse(text), None, "{text}");
        let filter = read(r#"{"key":"t","cmp":"gte","val":"-1000"}"#).expect("valid");
        assert!(!filter.matches(&tags(&[("t", text)])), "{text}");
    }
    let never =
        read(r#"{"op":"or","nodes":[{"key":"t","cmp":"gte","val":"x"},{"key":"t","cmp":"lte","val":"x"}]}"#);
    assert!(!never.expect("valid").matches(&tags(&[("t", "1")])));
    for (one, other) in [
        ("1", "+1"),
        ("01", "1.000"),
        ("-0", "0.0"),
        ("1.1234567890123456789", "1.1234567890123456789"),
    ] {
        let (one, other) = (
            Decimal::parse(one).expect("number"),
            Decimal::parse(other).expect("number"),
        );
        assert_eq!(one.cmp(&other), Ordering::Equal);
    }
}

#[test]
fn what_is_not_valid() {
    use InvalidFilter::{Children, Comparison, Key, Operation, Value};
    for (json, error) in [
        ("{}", Comparison),
        (r#"{"key":"a"}"#, Comparison),
        (r#"{"key":"a","cmp":"xx","val":"1"}"#, Comparison),
        (r#"{"cmp":"eq","val":"1"}"#, Key),
        (r#"{"cmp":"in","vals":["1"]}"#, Key),
        (r#"{"key":"a","cmp":"eq"}"#, Value),
        (r#"{"key":"a","cmp":"eq","val":"1","vals":["1"]}"#, Value),
        (r#"{"key":"a","cmp":"gt","vals":["1"]}"#, Value),
        (r#"{"key":"a","cmp":"in"}"#, Value),
        (r#"{"key":"a","cmp":"in","val":"1","vals":["1"]}"#, Value),
        (r#"{"key":"a","cmp":"ex","val":"1"}"#, Value),
        (r#"{"key":"a","cmp":"nex","vals":["1"]}"#, Value),
        (r#"{"op":"xor","nodes":[{"cmp":"ex","key":"a"}]}"#, Operation),
        (r#"{"op":"and"}"#, Children),
        (r#"{"op":"or","nodes":[]}"#, Children),
        (r#"{"op":"not"}"#, Children),
        (
            r#"{"op":"not","nodes":[{"cmp":"ex","key":"a"},{"cmp":"ex","key":"b"}]}"#,
            Children,
        ),
        (
            r#"{"op":"and","nodes":[{"cmp":"ex","key":"a"},{"op":"not","nodes":[{"cmp":"q"}]}]}"#,
            Comparison,
        ),
    ] {
        assert_eq!(read(json), Err(error), "{json}");
    }
    assert!(read(r#"{"cmp":"nex"}"#).is_ok(), "no key is needed to miss one");
}

#[test]
fn size_and_depth_are_bounded() {
    let leaf = || FilterNode {
        key: "a".to_owned(),
        cmp: "ex".to_owned(),
        ..FilterNode::default()
    };
    let over = |op: &str, nodes: Vec<FilterNode>| FilterNode {
        op: op.to_owned(),
        nodes,
        ..FilterNode::default()
    };
    let deep = |depth: usize| (1..depth).fold(leaf(), |below, _| over("not", vec![below]));
    assert!(Filter::new(deep(MAX_DEPTH)).is_ok());
    assert_eq!(Filter::new(deep(MAX_DEPTH + 1)), Err(InvalidFilter::TooLarge));
    let wide = |nodes: usize| over("or", (1..nodes).map(|_| leaf()).collect());
    assert!(Filter::new(wide(MAX_NODES)).is_ok());
    assert_eq!(Filter::new(wide(MAX_NODES + 1)), Err(InvalidFilter::TooLarge));
}

/// What the table of the specification says, word by word and without regard to cost.
fn naive(node: &FilterNode, tags: &BTreeMap<String, String>) -> bool {
    let tag = tags.get(&node.key);
    let text = tag.cloned().unwrap_or_default();
    let number = |text: &str| -> Option<i128> {
        // Scaled to what the strategy below writes.
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let negative = whole.starts_with('-');
        let whole: i128 = whole.parse().ok()?;
        let fraction: i128 = format!("{fraction:0<3}").parse().ok()?;
        Some(whole * 1000 + if negative { -fraction } else { fraction })
    };
    let ordering = number(&text)
        .zip(number(&node.val))
        .filter(|_| tag.is_some())
        .map(|(tag, val)| tag.cmp(&val));
    match (node.op.as_str(), node.cmp.as_str()) {
        ("and", _) => node.nodes.iter().all(|node| naive(node, tags)),
        ("or", _) => node.nodes.iter().any(|node| naive(node, tags)),
        ("not", _) => !naive(&node.nodes[0], tags),
        (_, "eq") => tag.is_some() && text == node.val,
        (_, "neq") => tag.is_none() || text != node.val,
        (_, "in") => node.vals.contains(&text),
        (_, "nin") => !node.vals.contains(&text),
        (_, "ex") => tag.is_some(),
        (_, "nex") => tag.is_none(),
        (_, "sw") => tag.is_some() && text.starts_with(&node.val),
        (_, "ew") => tag.is_some() && text.ends_with(&node.val),
        (_, "ct") => tag.is_some() && text.contains(&node.val),
        (_, "gt") => ordering == Some(Ordering::Greater),
        (_, "gte") => ordering.is_some_and(Ordering::is_ge),
        (_, "lt") => ordering == Some(Ordering::Less),
        (_, "lte") => ordering.is_some_and(Ordering::is_le),
        _ => unreachable!("not generated"),
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,2}", "-?[0-9]{1,2}", "-?[0-9]{1,2}\\.[0-9]{1,3}"]
}

fn filled() -> impl Strategy<Value = String> {
    value().prop_filter("a value", |value| !value.is_empty())
}

fn node() -> impl Strategy<Value = FilterNode> {
    let build = |cmp: &str, key: String, val: String, vals: Vec<String>| FilterNode {
        key,
        cmp: cmp.to_owned(),
        val,
        vals,
        ..FilterNode::default()
    };
    let one = proptest::sample::select(vec!["eq", "neq", "sw", "ew", "ct", "gt", "gte", "lt", "lte"]);
    let key = "[kl]";
    let leaf = prop_oneof![
        (one, key, filled()).prop_map(move |(cmp, key, val)| build(cmp, key, val, Vec::new())),
        (
            proptest::sample::select(vec!["in", "nin"]),
            key,
            proptest::collection::vec(value(), 1..4)
        )
            .prop_map(move |(cmp, key, vals)| build(cmp, key, String::new(), vals)),
        (proptest::sample::select(vec!["ex", "nex"]), key).prop_map(move |(cmp, key)| build(
            cmp,
            key,
            String::new(),
            Vec::new()
        )),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let over = |op: &str, nodes| FilterNode {
            op: op.to_owned(),
            nodes,
            ..FilterNode::default()
        };
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(move |nodes| over("and", nodes)),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(move |nodes| over("or", nodes)),
            inner.prop_map(move |node| over("not", vec![node])),
        ]
    })
}

proptest! {
    #[test]
    fn matches_are_those_of_the_naive_model(
        node in node(),
        tags in proptest::collection::btree_map("[kl]", value(), 0..3),
    ) {
        let expected = naive(&node, &tags);
        prop_assert_eq!(Filter::new(node).expect("valid").matches(&tags), expected);
    }
}
