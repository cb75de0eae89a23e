//! The file, and JSON inside variables: typed values, read leniently (configuration.md 2.1 to 2.3).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use super::environment::Variables;
use crate::config::coerce;
use crate::config::definition::{Kind, Section, join};
use crate::config::error::{LoadError, Problem};
use crate::config::value::{Leaf, Node, Source, Table, Value};

/// Reads a file in the format that its extension names. `None` if it cannot be opened: a server may run on
/// environment and flags alone, and a missing mount or permission looks the same.
///
/// # Errors
///
/// The format is not supported, or the text is not of it.
pub(super) fn read(path: &Path) -> Result<Option<Json>, LoadError> {
    let error = |reason: String| LoadError::File {
        path: path.to_owned(),
        reason,
    };
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let format = Format::of(&extension).ok_or_else(|| {
        error(format!(
            "Unsupported Config Type \"{extension}\" (json, yaml, yml, toml)"
        ))
    })?;
    let Ok(bytes) = std::fs::read(path) else {
        return Ok(None);
    };
    format.parse(&bytes).map(Some).map_err(error)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Toml,
}

impl Format {
    pub(crate) fn of(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    /// Parses a whole file. An empty one is no JSON, but good YAML and TOML.
    pub(crate) fn parse(self, bytes: &[u8]) -> Result<Json, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| format!("While parsing config: {error}"))?;
        let json = match self {
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Self::Yaml => serde_yaml_ng::from_str(text).map_err(|error| error.to_string()),
            Self::Toml => toml::from_str(text).map_err(|error| error.to_string()),
        };
        match json.map_err(|error| format!("While parsing config: {error}"))? {
            Json::Null if self == Self::Yaml => Ok(Json::Object(serde_json::Map::new())),
            json @ Json::Object(_) => Ok(json),
            _ => Err("While parsing config: the file is not an object of options".to_owned()),
        }
    }
}

/// Turns JSON into tables, by the definition.
pub(super) struct FileLayer<'a> {
    source: Source,
    variables: &'a Variables<'a>,
    problems: &'a mut Vec<Problem>,
    unknown: Vec<String>,
}

impl<'a> FileLayer<'a> {
    pub(super) fn new(source: Source, variables: &'a Variables<'a>, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            source,
            variables,
            problems,
            unknown: Vec::new(),
        }
    }

    /// Dotted keys, in lower case, that the definition does not know.
    pub(super) fn into_unknown(self) -> Vec<String> {
        self.unknown
    }

    /// The options that an object sets. Zero values are not among them: in a file they mean the default, which
    /// is what the layer below has. So `channel_limit: 0` is no way to set 0.
    pub(super) fn table(&mut self, section: &'static Section, json: &Json, key: &str) -> Table {
        let mut table = Table::default();
        let Json::Object(members) = json else {
            if !json.is_null() {
                self.fail(coerce::shape(Kind::Object(section), json), key);
            }
            return table;
        };
        for (name, json) in members {
            let name = name.to_lowercase();
            let (first, nested) = match name.split_once('.') {
                Some((first, rest)) => (first, Some(serde_json::json!({ rest: json }))),
                None => (name.as_str(), None),
            };
            let key = join(key, first);
            let Some(field) = section.field(first) else {
                self.unknown.push(key);
                continue;
            };
            if let Some(node) = self.node(field.kind, nested.as_ref().unwrap_or(json), &key) {
                // The same object may come in parts: as `a.b` and as `a`.
                let mut part = Table::default();
                part.insert(field.name, node);
                table.overlay(part);
            }
        }
        table
    }

    /// A list of objects. Each has all its defaults.
    pub(super) fn items(
        &mut self,
        kind: Kind,
        section: &'static Section,
        json: &Json,
        key: &str,
    ) -> Vec<Node> {
        let Json::Array(items) = json else {
            if !json.is_null() {
                self.fail(coerce::shape(kind, json), key);
            }
            return Vec::new();
        };
        let item = |(index, json)| {
            let key = format!("{key}.[{index}]");
            let mut item = section.defaults(&key);
            item.overlay(self.table(section, json, &key));
            Node::Table(item)
        };
        items.iter().enumerate().map(item).collect()
    }

    /// A map of texts: an object, whose keys are not to be relied on for case, or a list of `{key, value}`.
    pub(super) fn map(&mut self, json: &Json, lower: bool, key: &str) -> Option<BTreeMap<String, String>> {
        match self.variables.map(json, lower) {
            Ok(map) => Some(map),
            Err(reason) => {
                self.fail(reason, key);
                None
            }
        }
    }

    fn node(&mut self, kind: Kind, json: &Json, key: &str) -> Option<Node> {
        let value = match kind {
            Kind::Object(section) => return Some(Node::Table(self.table(section, json, key))),
            Kind::Objects(section) | Kind::Named(section) => {
                return Some(Node::Items(self.items(kind, section, json, key)));
            }
            Kind::TextMap => Value::Map(self.map(json, true, key)?),
            _ => match coerce::from_json(kind, json) {
                Ok(value) => value,
                Err(reason) => {
                    self.fail(reason, key);
                    return None;
                }
            },
        };
        if value.is_zero() {
            return None;
        }
        Some(Node::Leaf(Leaf {
            value,
            key: key.to_owned(),
            source: self.source.clone(),
        }))
    }

    fn fail(&mut self, reason: String, key: &str) {
        self.problems.push(Problem::new(reason, key, self.source.clone()));
    }
}
