//! From sources to a configuration, by way of merged layers.

use super::definition::Resolve;
use super::error::{LoadError, Warning};
use super::layers::{self, Merged, Sources};
use super::support;
use super::tree::Config;
use super::types::LogLevel;
use super::validate;
use super::value::{Node, Table};

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration itself.
    pub config: Config,
    /// What in its sources has no effect. To be logged once the server runs.
    pub warnings: Vec<Warning>,
    /// Whether the file was there.
    pub file_found: bool,
}

/// Reads a configuration. Called at start and again for every reload; nothing is remembered in between.
///
/// # Errors
///
/// All that is wrong with the configuration, each with its key and where it was set.
pub fn load(sources: &Sources) -> Result<Loaded, LoadError> {
    let Merged {
        table,
        mut warnings,
        file_found,
    } = layers::merge(sources)?;
    let mut problems = Vec::new();
    warnings.extend(support::check(&table, &mut problems));
    let config = Config::resolve(Some(&Node::Table(table.clone())), &mut problems);
    warnings.extend(unknown_log_level(&table));
    validate::name_places(&table, &mut problems);
    validate::check(&config, &table, &mut problems);
    if problems.is_empty() {
        Ok(Loaded {
            config,
            warnings,
            file_found,
        })
    } else {
        Err(LoadError::Invalid(problems))
    }
}

/// `log.level`, if there is no such level. The server then logs at info.
fn unknown_log_level(table: &Table) -> Option<Warning> {
    let level = table.find("log.level")?.value.to_string();
    level
        .to_lowercase()
        .parse::<LogLevel>()
        .err()
        .map(|_| Warning::LogLevel(level))
}
