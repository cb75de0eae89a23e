//! Rules that involve more than one value, or more than its type (configuration.md 2.6, channels-and-auth.md 2.6).
//!
//! The reference finds some of these only while it starts, or panics; here all are found at once, before anything
//! is opened, by `checkconfig` too. What only the owner of a value can tell (keys, certificates, origin patterns,
//! whether a port is free) is left to that owner.

mod channels;
mod engines;
mod limits;
mod listeners;

use std::collections::HashSet;

use super::error::Problem;
use super::tree::{Client, Config};
use super::value::{Source, Table};

pub(crate) use channels::name_places;

/// Finds everything wrong with a configuration whose values are good one by one.
pub(crate) fn check(config: &Config, table: &Table, problems: &mut Vec<Problem>) {
    let mut check = Check { table, problems };
    listeners::check(&mut check, config);
    channels::check(&mut check, config);
    limits::check(&mut check, config);
    engines::check(&mut check, config);
    check.pings(&config.client);
    check.compression(config.websocket.compression_level);
}

struct Check<'a> {
    table: &'a Table,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn fail(&mut self, key: &str, message: impl Into<String>) {
        let source = self
            .table
            .find(key)
            .map_or(Source::Default, |leaf| leaf.source.clone());
        self.problems.push(Problem::new(message, key, source));
    }

    fn pings(&mut self, client: &Client) {
        let is_ordered = match (client.ping_interval, client.pong_timeout) {
            (Some(ping), Some(pong)) => ping > pong,
            // Without pings there are no pongs to wait for.
            (None, Some(_)) => false,
            (_, None) => true,
        };
        if !is_ordered {
            self.fail(
                "client.ping_interval",
                "ping_interval must be greater than pong_timeout",
            );
        }
    }

    fn compression(&mut self, level: usize) {
        if !(1..=9).contains(&level) {
            let message = format!("compression level {level} does not exist, allowed are 1 to 9");
            self.fail("websocket.compression_level", message);
        }
    }

    /// Names of a list of objects: `list` is its key, `what` begins the messages.
    fn names<'n>(&mut self, names: impl Iterator<Item = &'n str>, list: &str, what: &str) {
        let mut seen = HashSet::new();
        for (index, name) in names.enumerate() {
            let key = format!("{list}.[{index}].name");
            let is_valid = name.len() >= 2
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !is_valid {
                let expression = "^[-a-zA-Z0-9_.]{2,}$ regular expression";
                self.fail(&key, format!("invalid {what} – {name} (must match {expression})"));
            } else if !seen.insert(name) {
                self.fail(&key, format!("{what} must be unique: {name}"));
            }
        }
    }
}
