//! Options that this version does not have.
//!
//! A configuration written for the reference must not be half obeyed in silence. So every option of it is known,
//! and one that is set to something else than its default is either worth a warning or, where ignoring it would
//! expose, lose or split something, refused.

use super::definition::{Field, Kind, Object, Section, Status};
use super::error::{Problem, Warning};
use super::tree::Config;
use super::value::{Leaf, Node, Source, Table, Value};

/// Finds such options in merged layers.
pub(crate) fn check(table: &Table, problems: &mut Vec<Problem>) -> Vec<Warning> {
    let mut search = Search {
        problems,
        warnings: Vec::new(),
    };
    search.table(Config::SECTION, table, "");
    search.warnings
}

struct Search<'a> {
    problems: &'a mut Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Search<'_> {
    fn table(&mut self, section: &'static Section, table: &Table, key: &str) {
        for field in section.fields() {
            let Some(node) = table.get(field.name) else {
                continue;
            };
            let key = super::definition::join(key, field.name);
            match field.status {
                Status::WithoutEffect => {}
                Status::Refused => self.refuse(field, node, &key),
                Status::Supported => self.descend(field, node, &key),
                Status::Unsupported => {
                    if is_set(field, node) {
                        self.warnings.push(Warning::Unsupported(key.clone()));
                    }
                    // What is set below needs no warning of its own, but may have to be refused.
                    let mut below = Search {
                        problems: &mut *self.problems,
                        warnings: Vec::new(),
                    };
                    below.descend(field, node, &key);
                }
            }
        }
    }

    fn descend(&mut self, field: &'static Field, node: &Node, key: &str) {
        match (field.kind, node) {
            (Kind::Object(section), Node::Table(table)) => self.table(section, table, key),
            (Kind::Objects(section) | Kind::Named(section), Node::Items(items)) => {
                for (index, item) in items.iter().enumerate() {
                    if let Node::Table(table) = item {
                        self.table(section, table, &format!("{key}.[{index}]"));
                    }
                }
            }
            _ => {}
        }
    }

    fn refuse(&mut self, field: &'static Field, node: &Node, key: &str) {
        if !is_set(field, node) {
            return;
        }
        match node {
            Node::Leaf(leaf) => self.problems.push(Problem::at(refusal(leaf), leaf)),
            Node::Items(items) => {
                let source = source_of(field.kind, items);
                let message = format!("{key} is not supported by this version");
                self.problems.push(Problem::new(message, key, source));
            }
            Node::Table(_) => {}
        }
    }
}

/// Whether an option, or one within, has been set to something else than its default.
pub(crate) fn is_set(field: &'static Field, node: &Node) -> bool {
    match (field.kind, node) {
        (Kind::Object(section), Node::Table(table)) => section
            .fields()
            .any(|field| table.get(field.name).is_some_and(|node| is_set(field, node))),
        (_, Node::Items(items)) => !items.is_empty(),
        (_, Node::Leaf(leaf)) => leaf.source != Source::Default && leaf.value != field.default_value(),
        (_, Node::Table(_)) => false,
    }
}

/// Where a list of objects was set, which is in one place.
fn source_of(kind: Kind, items: &[Node]) -> Source {
    let (Kind::Objects(section) | Kind::Named(section)) = kind else {
        return Source::Default;
    };
    let leaves = items
        .iter()
        .flat_map(|item| section.fields().filter_map(|field| item.get(field.name)));
    let mut sources = leaves.filter_map(|node| match node {
        Node::Leaf(leaf) => Some(leaf.source.clone()),
        Node::Table(_) | Node::Items(_) => None,
    });
    sources
        .find(|source| *source != Source::Default)
        .unwrap_or(Source::Default)
}

fn refusal(leaf: &Leaf) -> String {
    match &leaf.value {
        Value::Text(text) => format!("{} {text:?} is not supported by this version", leaf.key),
        _ => format!("{} is not supported by this version", leaf.key),
    }
}
