//! Values before they become options: layers of them, each knowing where it comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The value of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Text(String),
    /// Nanoseconds.
    Duration(i64),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

/// A value at its place.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) value: Value,
    /// Dotted; items of lists are numbered: `channel.namespaces.[0].name`.
    pub(crate) key: String,
    pub(crate) source: Source,
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: it is built in.
    Default,
    /// In the configuration file of this path.
    File(Arc<PathBuf>),
    /// In this environment variable.
    Environment(String),
    /// On the command line, with this flag.
    Flag(String),
}

/// A value, an object, or a list of objects.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Leaf(Leaf),
    Table(Table),
    /// Tables only.
    Items(Vec<Node>),
}

/// A layer, or an object of it: an option that is not set is not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(BTreeMap<&'static str, Node>);

impl Value {
    /// Whether the value is `false`, 0 or empty.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Int(value) | Self::Duration(value) => *value == 0,
            Self::Text(value) => value.is_empty(),
            Self::List(value) => value.is_empty(),
            Self::Map(value) => value.is_empty(),
        }
    }
}

impl Node {
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Table(table) => table.get(name),
            Self::Leaf(_) | Self::Items(_) => None,
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::Items(items) => items,
            Self::Leaf(_) | Self::Table(_) => &[],
        }
    }

    /// The text of a table's option.
    pub(crate) fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Self::Leaf(Leaf {
                value: Value::Text(text),
                ..
            })) => text,
            _ => "",
        }
    }
}

impl Table {
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.0.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.0.get_mut(name)
    }

    pub(crate) fn insert(&mut self, name: &'static str, node: Node) {
        self.0.insert(name, node);
    }

    /// Lays a stronger layer over this one. Objects are merged, values and lists are replaced.
    pub(crate) fn overlay(&mut self, stronger: Self) {
        for (name, node) in stronger.0 {
            match (self.0.get_mut(name), node) {
                (Some(Node::Table(weaker)), Node::Table(stronger)) => weaker.overlay(stronger),
                (_, node) => {
                    self.0.insert(name, node);
                }
            }
        }
    }

    /// Sets the option of a dotted key, each part of which must be a name of the definition.
    pub(crate) fn set(&mut self, path: &[&'static str], leaf: Leaf) {
        match path {
            [] => {}
            [name] => self.insert(name, Node::Leaf(leaf)),
            [name, rest @ ..] => {
                let node = self.0.entry(name).or_insert_with(|| Node::Table(Self::default()));
                if let Node::Table(table) = node {
                    table.set(rest, leaf);
                }
            }
        }
    }

    /// The value at a dotted key; `[n]` is an item of a list.
    pub(crate) fn find(&self, key: &str) -> Option<&Leaf> {
        let mut parts = key.split('.');
        let mut node = self.get(parts.next()?)?;
        for part in parts {
            node = match part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
                Some(index) => node.items().get(index.parse::<usize>().ok()?)?,
                None => node.get(part)?,
            };
        }
        match node {
            Node::Leaf(leaf) => Some(leaf),
            Node::Table(_) | Node::Items(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("built in"),
            Self::File(path) => write!(formatter, "configuration file {}", path.display()),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Flag(name) => write!(formatter, "flag --{name}"),
        }
    }
}

impl fmt::Display for Value {
    /// As an environment variable would spell it, but for maps.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Int(value) => write!(formatter, "{value}"),
            Self::Text(value) => formatter.write_str(value),
            Self::Duration(nanos) => formatter.write_str(&super::duration::format(*nanos)),
            Self::List(values) => formatter.write_str(&values.join(" ")),
            Self::Map(values) => write!(formatter, "{values:?}"),
        }
    }
}
