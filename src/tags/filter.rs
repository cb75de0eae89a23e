//! From the message to a checked filter, and from tags to yes or no.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::decimal::Decimal;
use crate::protocol::message::FilterNode;

/// Nodes above one another.
pub const MAX_DEPTH: usize = 64;
/// Nodes of one filter, each of which may be evaluated for each publication.
pub const MAX_NODES: usize = 1024;

/// A filter that was found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Node);

/// Why a filter is not valid (error 107). The fault is that of who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// `op` is none of those that exist.
    #[error("unknown operation")]
    Operation,
    /// `cmp` is none of those that exist, or missing.
    #[error("unknown comparison")]
    Comparison,
    /// The comparison needs a key.
    #[error("key required")]
    Key,
    /// `val` or `vals` is missing, or there where it means nothing.
    #[error("comparison with the wrong kind of value")]
    Value,
    /// `and` and `or` need children, `not` needs one.
    #[error("wrong number of nodes below an operation")]
    Children,
    /// Deeper than [`MAX_DEPTH`] or larger than [`MAX_NODES`].
    #[error("filter too large")]
    TooLarge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Leaf(String, Test),
}

/// What is asked of the tag of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Is(String),
    IsNot(String),
    /// Sorted.
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    /// The tag, compared with this, is one of the two.
    Number(String, [Ordering; 2]),
}

impl Filter {
    /// Checks a filter.
    ///
    /// # Errors
    /// What is wrong with it first, in the order of its nodes.
    pub fn new(node: FilterNode) -> Result<Self, InvalidFilter> {
        let mut nodes = 0;
        compile(node, MAX_DEPTH, &mut nodes).map(Self)
    }

    /// Whether a publication with these tags is wanted.
    #[must_use]
    pub fn matches(&self, tags: &BTreeMap<String, String>) -> bool {
        self.0.matches(tags)
    }
}

fn compile(node: FilterNode, depth: usize, nodes: &mut usize) -> Result<Node, InvalidFilter> {
    *nodes += 1;
    let Some(depth) = depth.checked_sub(1).filter(|_| *nodes <= MAX_NODES) else {
        return Err(InvalidFilter::TooLarge);
    };
    if node.op.is_empty() {
        return leaf(node);
    }
    let is_count_right = match node.op.as_str() {
        "and" | "or" => !node.nodes.is_empty(),
        "not" => node.nodes.len() == 1,
        _ => return Err(InvalidFilter::Operation),
    };
    if !is_count_right {
        return Err(InvalidFilter::Children);
    }
    let children = node.nodes.into_iter().map(|child| compile(child, depth, nodes));
    let mut children = children.collect::<Result<Vec<_>, _>>()?;
    Ok(match node.op.as_str() {
        "and" => Node::All(children),
        "or" => Node::Any(children),
        _ => Node::Not(Box::new(children.pop().ok_or(InvalidFilter::Children)?)),
    })
}

fn leaf(node: FilterNode) -> Result<Node, InvalidFilter> {
    let FilterNode {
        key,
        cmp,
        val,
        mut vals,
        ..
    } = node;
    let needs_key = !matches!(cmp.as_str(), "ex" | "nex");
    let (has_val, has_vals) = (!val.is_empty(), !vals.is_empty());
    let wants = match cmp.as_str() {
        "in" | "nin" => (false, true),
        "ex" | "nex" => (false, false),
        _ => (true, false),
    };
    vals.sort_unstable();
    let test = match cmp.as_str() {
        "eq" => Test::Is(val),
        "neq" => Test::IsNot(val),
        "in" => Test::In(vals),
        "nin" => Test::NotIn(vals),
        "ex" => Test::Exists,
        "nex" => Test::Missing,
        "sw" => Test::StartsWith(val),
        "ew" => Test::EndsWith(val),
        "ct" => Test::Contains(val),
        "gt" => Test::Number(val, [Ordering::Greater; 2]),
        "gte" => Test::Number(val, [Ordering::Greater, Ordering::Equal]),
        "lt" => Test::Number(val, [Ordering::Less; 2]),
        "lte" => Test::Number(val, [Ordering::Less, Ordering::Equal]),
        _ => return Err(InvalidFilter::Comparison),
    };
    if needs_key && key.is_empty() {
        return Err(InvalidFilter::Key);
    }
    if (has_val, has_vals) != wants {
        return Err(InvalidFilter::Value);
    }
    Ok(Node::Leaf(key, test))
}

impl Node {
    /// As deep as [`MAX_DEPTH`]: recursion is safe.
    fn matches(&self, tags: &BTreeMap<String, String>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(tags)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(tags)),
            Self::Not(node) => !node.matches(tags),
            Self::Leaf(key, test) => test.matches(tags.get(key).map(String::as_str)),
        }
    }
}

impl Test {
    fn matches(&self, tag: Option<&str>) -> bool {
        // Of lists a missing tag is an empty one.
        let listed = |vals: &[String]| {
            let tag = tag.unwrap_or_default();
            vals.binary_search_by(|val| val.as_str().cmp(tag)).is_ok()
        };
        match self {
            Self::Is(val) => tag == Some(val),
            Self::IsNot(val) => tag != Some(val),
            Self::In(vals) => listed(vals),
            Self::NotIn(vals) => !listed(vals),
            Self::Exists => tag.is_some(),
            Self::Missing => tag.is_none(),
            Self::StartsWith(val) => tag.is_some_and(|tag| tag.starts_with(val.as_str())),
            Self::EndsWith(val) => tag.is_some_and(|tag| tag.ends_with(val.as_str())),
            Self::Contains(val) => tag.is_some_and(|tag| tag.contains(val.as_str())),
            Self::Number(val, wanted) => tag
                .and_then(Decimal::parse)
                .zip(Decimal::parse(val))
                .is_some_and(|(tag, val)| wanted.contains(&tag.cmp(&val))),
        }
    }
}
