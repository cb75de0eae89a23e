//! Files that contain every option: `defaultconfig` and `defaultenv`.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::definition::{Field, Kind, Object, Section, Status};
use super::duration;
use super::error::LoadError;
use super::layers::{self, Format, PREFIXES, Sources, item_variable, variable};
use super::support::is_set;
use super::tree::Config;
use super::value::{Leaf, Node, Table, Value};

/// A configuration that cannot be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SampleError {
    #[error("{}: {}", .0.summary(), .0)]
    Load(#[from] LoadError),
    /// A format cannot express a value.
    #[error("error encoding config: {0}")]
    Encode(String),
}

/// A file of all options that this version has, and of those others that are set. The values are those of the
/// sources; whether they make sense is not asked.
pub(crate) fn file(sources: &Sources, format: Format) -> Result<String, SampleError> {
    let table = layers::merge(sources)?.table;
    let tree = Tree {
        section: Config::SECTION,
        table: &table,
    };
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&tree).map_err(|error| error.to_string()),
        Format::Yaml => serde_yaml_ng::to_string(&tree).map_err(|error| error.to_string()),
        Format::Toml => toml::to_string_pretty(&tree).map_err(|error| error.to_string()),
    };
    let mut text = text.map_err(SampleError::Encode)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// The same as sorted lines of variables; on request without those whose value is zero.
pub(crate) fn environment(sources: &Sources, non_zero_only: bool) -> Result<String, LoadError> {
    let table = layers::merge(sources)?.table;
    let mut lines = BTreeMap::new();
    collect(Config::SECTION, &table, "", non_zero_only, &mut lines);
    Ok(lines
        .into_iter()
        .map(|(name, value)| format!("{}{name}={value}\n", PREFIXES[0]))
        .collect())
}

fn collect(
    section: &'static Section,
    table: &Table,
    name: &str,
    non_zero_only: bool,
    lines: &mut BTreeMap<String, String>,
) {
    for (field, node) in printed(section, table) {
        let name = variable(name, field.name);
        match (field.kind, node) {
            (Kind::Object(section), Node::Table(table)) => {
                collect(section, table, &name, non_zero_only, lines);
            }
            (Kind::Named(section), Node::Items(items)) => {
                let names: Vec<_> = items.iter().map(|item| item.text("name")).collect();
                if !(non_zero_only && names.is_empty()) {
                    lines.insert(name.clone(), quoted(&names.join(" ")));
                }
                for item in items {
                    if let Node::Table(table) = item {
                        let name = item_variable(&name, item.text("name"));
                        collect(section, table, &name, non_zero_only, lines);
                        // The list's own variable tells it.
                        lines.remove(&variable(&name, "name"));
                    }
                }
            }
            (Kind::Objects(section), Node::Items(items)) if !(non_zero_only && items.is_empty()) => {
                let json = serde_json::to_string(&Items { section, items }).unwrap_or_default();
                lines.insert(name, quoted(&json));
            }
            (_, Node::Leaf(Leaf { value, .. })) if !(non_zero_only && value.is_zero()) => {
                lines.insert(name, line_value(value));
            }
            _ => {}
        }
    }
}

fn line_value(value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Duration(_) => value.to_string(),
        Value::Text(_) | Value::List(_) => quoted(&value.to_string()),
        Value::Map(map) => quoted(&serde_json::to_string(map).unwrap_or_default()),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The options of a table that are printed, in the order of the definition.
fn printed<'t>(
    section: &'static Section,
    table: &'t Table,
) -> impl Iterator<Item = (&'static Field, &'t Node)> {
    let node = |field: &'static Field| Some((field, table.get(field.name)?));
    let is_printed = |(field, node): &(&'static Field, &Node)| match (field.status, field.kind) {
        (Status::Supported, Kind::Object(section)) => {
            section.fields().any(|field| field.status == Status::Supported) || is_set(field, node)
        }
        (Status::Supported, _) => true,
        _ => is_set(field, node),
    };
    section.fields().filter_map(node).filter(is_printed)
}

/// A table, to be written in the order of its definition.
struct Tree<'t> {
    section: &'static Section,
    table: &'t Table,
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, node) in printed(self.section, self.table) {
            match (field.kind, node) {
                (Kind::Object(section), Node::Table(table)) => {
                    map.serialize_entry(field.name, &Tree { section, table })?;
                }
                (Kind::Objects(section) | Kind::Named(section), Node::Items(items)) => {
                    map.serialize_entry(field.name, &Items { section, items })?;
                }
                (_, Node::Leaf(Leaf { value, .. })) => map.serialize_entry(field.name, value)?,
                _ => {}
            }
        }
        map.end()
    }
}

struct Items<'t> {
    section: &'static Section,
    items: &'t [Node],
}

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.items.iter().filter_map(|item| match item {
            Node::Table(table) => Some(Tree {
                section: self.section,
                table,
            }),
            Node::Leaf(_) | Node::Items(_) => None,
        }))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Duration(nanos) => serializer.serialize_str(&duration::format(*nanos)),
            Self::List(values) => values.serialize(serializer),
            Self::Map(values) => values.serialize(serializer),
        }
    }
}
