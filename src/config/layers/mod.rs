//! Layers of values, and how they are laid over each other (configuration.md 2.1).
//!
//! From weak to strong: the defaults, the file, the environment, the flags. In a layer, what is not set is not
//! there, which differs from being set to the default: an explicit `--health.enabled=false` wins over a variable
//! that says true. Where values come from is given, so that tests need neither files nor an environment.

mod environment;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use environment::{PREFIXES, Variables, item_variable, variable};
pub(crate) use file::Format;

use super::coerce;
use super::definition::{Object, Section};
use super::error::{LoadError, Problem, Warning};
use super::tree::Config;
use super::value::{Leaf, Node, Source, Table, Value};
use environment::EnvironmentLayer;
use file::FileLayer;

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file, if one is to be read. That it does not exist is no error.
    pub file: Option<PathBuf>,
    /// The environment. Variables that do not concern us are ignored.
    pub environment: BTreeMap<String, String>,
    /// Dotted keys and values of the flags that were given.
    pub flags: Vec<(String, String)>,
}

/// All layers in one.
pub(crate) struct Merged {
    pub(crate) table: Table,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) file_found: bool,
}

/// Reads and merges all layers.
pub(crate) fn merge(sources: &Sources) -> Result<Merged, LoadError> {
    let section = Config::SECTION;
    let variables = Variables::new(&sources.environment);
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut table = section.defaults("");
    let mut file_found = false;
    if let Some(path) = &sources.file
        && let Some(json) = file::read(path)?
    {
        file_found = true;
        let mut layer = FileLayer::new(Source::File(Arc::new(path.clone())), &variables, &mut problems);
        table.overlay(layer.table(section, &json, ""));
        warnings.extend(layer.into_unknown().into_iter().map(Warning::UnknownKey));
    }
    let mut layer = EnvironmentLayer::new(&variables, &mut problems);
    layer.apply(section, &mut table, "", "");
    warnings.extend(layer.into_unknown().into_iter().map(Warning::UnknownVariable));
    apply_flags(section, &sources.flags, &mut table, &mut problems);
    replace_zeros(section, &mut table);
    if problems.is_empty() {
        Ok(Merged {
            table,
            warnings,
            file_found,
        })
    } else {
        Err(LoadError::Values(problems))
    }
}

fn apply_flags(
    section: &'static Section,
    flags: &[(String, String)],
    table: &mut Table,
    problems: &mut Vec<Problem>,
) {
    for (key, text) in flags {
        let source = Source::Flag(key.clone());
        let Some((path, field)) = section.find(key) else {
            problems.push(Problem::new("unknown option", key, source));
            continue;
        };
        match coerce::from_text(field.kind, text) {
            Ok(value) => table.set(
                &path,
                Leaf {
                    value,
                    key: key.clone(),
                    source,
                },
            ),
            Err(reason) => problems.push(Problem::new(reason, key, source)),
        }
    }
}

/// Limits and intervals that would make no sense as 0, which a variable can set: the session logic of the
/// reference has a default of its own for each (configuration.md 2.2).
const INSTEAD_OF_ZERO: [(&str, &str); 17] = [
    ("client.ping_interval", "25s"),
    ("client.pong_timeout", "8s"),
    ("client.expired_close_delay", "25s"),
    ("client.expired_sub_close_delay", "25s"),
    ("client.stale_close_delay", "15s"),
    ("client.presence_update_interval", "25s"),
    ("client.channel_position_check_delay", "40s"),
    ("client.channel_limit", "128"),
    ("client.queue_max_size", "1048576"),
    ("client.max_messages_in_frame", "16"),
    ("channel.max_length", "255"),
    ("websocket.write_timeout", "1s"),
    ("websocket.message_size_limit", "65536"),
    ("webtransport.message_size_limit", "65536"),
    ("sse.max_request_body_size", "65536"),
    ("http_stream.max_request_body_size", "65536"),
    ("emulation.max_request_body_size", "65536"),
];

fn replace_zeros(section: &'static Section, table: &mut Table) {
    for (key, text) in INSTEAD_OF_ZERO {
        let Some(leaf) = table.find(key).filter(|leaf| leaf.value.is_zero()).cloned() else {
            continue;
        };
        if let Some((path, field)) = section.find(key)
            && let Ok(value) = coerce::from_text(field.kind, text)
        {
            table.set(&path, Leaf { value, ..leaf });
        }
    }
}

/// `name` of a new item of a list, with defaults for all the rest.
fn named_item(section: &'static Section, name: &str, key: &str, source: Source) -> Table {
    let mut item = section.defaults(key);
    let value = Value::Text(name.to_owned());
    item.insert(
        "name",
        Node::Leaf(Leaf {
            value,
            key: format!("{key}.name"),
            source,
        }),
    );
    item
}
