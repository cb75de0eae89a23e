//! The environment: text, read strictly (configuration.md 2.5).
//!
//! The name of an option's variable is its dotted key in upper case, with underscores for dots, behind a prefix.
//! There are two prefixes, ours and that of the reference, whose deployments are to work unchanged; ours wins,
//! variable by variable. An empty variable is not set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::file::FileLayer;
use super::named_item;
use crate::config::coerce;
use crate::config::definition::{Kind, Section, join};
use crate::config::error::Problem;
use crate::config::value::{Leaf, Node, Source, Table, Value};

/// Prefixes of our variables, the strongest first.
pub(crate) const PREFIXES: [&str; 2] = ["TIDEGATE_", "CENTRIFUGO_"];

/// The variables of the environment.
pub(crate) struct Variables<'a>(&'a BTreeMap<String, String>);

impl<'a> Variables<'a> {
    pub(crate) fn new(all: &'a BTreeMap<String, String>) -> Self {
        Self(all)
    }

    /// Name and value of an option's variable, if it is set.
    fn get(&self, suffix: &str) -> Option<(String, &'a str)> {
        PREFIXES.into_iter().find_map(|prefix| {
            let name = format!("{prefix}{suffix}");
            let value = self.0.get(&name).filter(|value| !value.is_empty())?;
            Some((name, value.as_str()))
        })
    }

    /// Reads a map of texts and expands its values.
    pub(super) fn map(&self, json: &Json, lower: bool) -> Result<BTreeMap<String, String>, String> {
        let mut map = BTreeMap::new();
        match json {
            Json::Null => {}
            Json::Object(members) => {
                for (key, value) in members {
                    let Json::String(value) = value else {
                        return Err(format!("the value of {key:?} is not a string"));
                    };
                    let key = if lower { key.to_lowercase() } else { key.clone() };
                    map.insert(key, self.expand(value)?);
                }
            }
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let part = |name| item.get(name).and_then(Json::as_str);
                    let (Some(key), Some(value)) = (part("key"), part("value")) else {
                        return Err(format!(
                            "element {index} does not consist of the strings key and value"
                        ));
                    };
                    if map.insert(key.to_owned(), self.expand(value)?).is_some() {
                        return Err(format!("duplicate key {key:?} at element {index}"));
                    }
                }
            }
            other => return Err(coerce::shape(Kind::TextMap, other)),
        }
        Ok(map)
    }

    /// Replaces `${CENTRIFUGO_VAR_X}`, so that secrets need not stand in the file. Other references stay.
    fn expand(&self, text: &str) -> Result<String, String> {
        static REFERENCE: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"\$\{((?:TIDEGATE|CENTRIFUGO)_VAR_[A-Za-z0-9_]+)\}").ok());
        let Some(reference) = REFERENCE.as_ref() else {
            return Ok(text.to_owned());
        };
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(captures) = reference.captures(rest) {
            let (Some(whole), Some(name)) = (captures.get(0), captures.get(1)) else {
                break;
            };
            let name = name.as_str();
            let value = self.0.get(name);
            let value = value.ok_or_else(|| format!("environment variable \"{name}\" not found"))?;
            expanded.push_str(&rest[..whole.start()]);
            expanded.push_str(value);
            rest = &rest[whole.end()..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// Applies variables to the layers below: what items a list has decides which variables there are.
pub(super) struct EnvironmentLayer<'a> {
    variables: &'a Variables<'a>,
    problems: &'a mut Vec<Problem>,
    /// Names without prefix of all variables that mean something.
    known: BTreeSet<String>,
}

impl<'a> EnvironmentLayer<'a> {
    pub(super) fn new(variables: &'a Variables<'a>, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            variables,
            problems,
            known: BTreeSet::new(),
        }
    }

    /// Applies the variables of a section whose names begin with `name`.
    pub(super) fn apply(&mut self, section: &'static Section, table: &mut Table, name: &str, key: &str) {
        for field in section.fields() {
            let name = variable(name, field.name);
            let key = join(key, field.name);
            match field.kind {
                Kind::Object(section) => {
                    if let Some(Node::Table(table)) = table.get_mut(field.name) {
                        self.apply(section, table, &name, &key);
                    }
                }
                Kind::Objects(section) | Kind::Named(section) => {
                    let items = table
                        .get(field.name)
                        .map(Node::items)
                        .unwrap_or_default()
                        .to_vec();
                    let items = self.items(field.kind, section, items, &name, &key);
                    table.insert(field.name, Node::Items(items));
                }
                kind => {
                    if let Some(leaf) = self.leaf(kind, &name, &key) {
                        table.insert(field.name, Node::Leaf(leaf));
                    }
                }
            }
        }
    }

    /// Variables with one of our prefixes that mean nothing. Those that Kubernetes makes for a service of our
    /// name, and those meant for expansion, are not reported.
    pub(super) fn into_unknown(self) -> Vec<String> {
        static FOREIGN: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new("^(?:VAR_|(?:[A-Z0-9_]+_)?(?:PORT|SERVICE_))").ok());
        let is_foreign = |suffix: &str| FOREIGN.as_ref().is_some_and(|foreign| foreign.is_match(suffix));
        let is_unknown = |name: &str| {
            let suffix = PREFIXES.into_iter().find_map(|prefix| name.strip_prefix(prefix));
            suffix.is_some_and(|suffix| !self.known.contains(suffix) && !is_foreign(suffix))
        };
        self.variables
            .0
            .keys()
            .filter(|name| is_unknown(name))
            .cloned()
            .collect()
    }

    fn leaf(&mut self, kind: Kind, name: &str, key: &str) -> Option<Leaf> {
        self.known.insert(name.to_owned());
        let (name, text) = self.variables.get(name)?;
        let value = match kind {
            Kind::TextMap => self
                .json(text)
                .and_then(|json| self.variables.map(&json, false))
                .map(Value::Map),
            _ => coerce::from_text(kind, text),
        };
        let source = Source::Environment(name);
        match value {
            Ok(value) => Some(Leaf {
                value,
                key: key.to_owned(),
                source,
            }),
            Err(reason) => {
                self.problems.push(Problem::new(reason, key, source));
                None
            }
        }
    }

    /// The items of a list: an array in the variable replaces them, names in the variable are appended to them.
    /// Then each named item has variables of its own.
    fn items(
        &mut self,
        kind: Kind,
        section: &'static Section,
        mut items: Vec<Node>,
        name: &str,
        key: &str,
    ) -> Vec<Node> {
        self.known.insert(name.to_owned());
        if let Some((variable, text)) = self.variables.get(name) {
            let source = Source::Environment(variable);
            if matches!(kind, Kind::Objects(_)) || text.trim_start().starts_with('[') {
                items = match self.json(text) {
                    Ok(json) => {
                        FileLayer::new(source, self.variables, self.problems).items(kind, section, &json, key)
                    }
                    Err(reason) => {
                        self.problems.push(Problem::new(reason, key, source));
                        items
                    }
                };
            } else {
                for name in text.split_whitespace() {
                    if items.iter().all(|item| item.text("name") != name) {
                        let key = format!("{key}.[{}]", items.len());
                        items.push(Node::Table(named_item(section, name, &key, source.clone())));
                    }
                }
            }
        }
        if matches!(kind, Kind::Named(_)) {
            for (index, item) in items.iter_mut().enumerate() {
                let name = item_variable(name, item.text("name"));
                if let Node::Table(item) = item {
                    self.apply(section, item, &name, &format!("{key}.[{index}]"));
                }
            }
        }
        items
    }

    fn json(&self, text: &str) -> Result<Json, String> {
        serde_json::from_str(text).map_err(|error| format!("the variable is not JSON: {error}"))
    }
}

/// The name, without prefix, of the variable of `field` in the object whose variables begin with `name`.
pub(crate) fn variable(name: &str, field: &str) -> String {
    let field = field.to_uppercase();
    if name.is_empty() {
        field
    } else {
        format!("{name}_{field}")
    }
}

/// The beginning of the names, without prefix, of the variables of an item of the list `list`.
pub(crate) fn item_variable(list: &str, item: &str) -> String {
    variable(list, &item.replace(['.', '-'], "_"))
}
