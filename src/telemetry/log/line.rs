//! One line of the log.

use std::fmt::{self, Write as _};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

const CONSOLE_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object.
    Json,
    /// Coloured text for people.
    Console,
}

/// Levels, with the one that `tracing` does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// Three letters in an ANSI colour.
    fn coloured(self) -> &'static str {
        match self {
            Self::Trace => "\x1b[35mTRC\x1b[0m",
            Self::Debug => "\x1b[33mDBG\x1b[0m",
            Self::Info => "\x1b[32mINF\x1b[0m",
            Self::Warn => "\x1b[31mWRN\x1b[0m",
            Self::Error => "\x1b[1;31mERR\x1b[0m",
            Self::Fatal => "\x1b[1;31mFTL\x1b[0m",
        }
    }
}

/// What a line says.
pub(super) struct Line {
    severity: Severity,
    fields: Vec<(&'static str, Value)>,
    pub(super) message: String,
}

impl Line {
    pub(super) fn new(severity: Severity) -> Self {
        Self {
            severity,
            fields: Vec::new(),
            message: String::new(),
        }
    }

    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut line = Self::new(match *event.metadata().level() {
            Level::TRACE => Severity::Trace,
            Level::DEBUG => Severity::Debug,
            Level::INFO => Severity::Info,
            Level::WARN => Severity::Warn,
            Level::ERROR => Severity::Error,
        });
        event.record(&mut line);
        line
    }

    pub(super) fn text(&mut self, name: &'static str, text: String) {
        match name {
            "message" => self.message = text,
            // The error stands before the other fields.
            "error" => self.fields.insert(0, (name, Value::String(text))),
            _ => self.fields.push((name, Value::String(text))),
        }
    }

    /// The line with its line feed. Text of peers is escaped: it can neither end the line nor colour it.
    pub(super) fn format(&self, form: Form, now: OffsetDateTime) -> String {
        let mut out = String::with_capacity(160);
        // Writing to a String cannot fail.
        let _ = match form {
            Form::Json => self.json(&mut out, now),
            Form::Console => self.console(&mut out, now),
        };
        out.push('\n');
        out
    }

    fn json(&self, out: &mut String, now: OffsetDateTime) -> fmt::Result {
        write!(out, "{{\"level\":\"{}\"", self.severity.name())?;
        for (name, value) in &self.fields {
            write!(out, ",{}:{value}", Value::from(*name))?;
        }
        let time = now
            .replace_nanosecond(0)
            .unwrap_or(now)
            .format(&Rfc3339)
            .unwrap_or_default();
        write!(
            out,
            ",\"time\":\"{time}\",\"message\":{}}}",
            Value::from(self.message.as_str())
        )
    }

    fn console(&self, out: &mut String, now: OffsetDateTime) -> fmt::Result {
        let time = now.format(CONSOLE_TIME).unwrap_or_default();
        let message = self.message.escape_debug();
        write!(
            out,
            "\x1b[90m{time}\x1b[0m [{}] {message}",
            self.severity.coloured()
        )?;
        for (name, value) in &self.fields {
            match value {
                Value::String(text) if is_plain(text) => write!(out, " \x1b[36m{name}=\x1b[0m{text}")?,
                value => write!(out, " \x1b[36m{name}=\x1b[0m{value}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_graphic() && char != '"')
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), Value::from(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), Value::from(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), Value::from(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), Value::from(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn line() -> Line {
        let mut line = Line::new(Severity::Warn);
        line.fields.push(("limit", Value::from(3)));
        line.text("user", "a\n\x1b[31m\"b".to_owned());
        line.text("error", "no".to_owned());
        line.text("message", "node connection limit reached".to_owned());
        line
    }

    const NOW: OffsetDateTime = datetime!(2026-01-31 12:00:00.5 UTC);

    #[test]
    fn json_has_level_first_and_message_last() {
        assert_eq!(
            line().format(Form::Json, NOW),
            "{\"level\":\"warn\",\"error\":\"no\",\"limit\":3,\"user\":\"a\\n\\u001b[31m\\\"b\",\
             \"time\":\"2026-01-31T12:00:00Z\",\"message\":\"node connection limit reached\"}\n"
        );
    }

    #[test]
    fn the_console_is_one_line_whatever_peers_send() {
        let text = line().format(Form::Console, NOW);
        assert!(text.starts_with("\x1b[90m2026-01-31 12:00:00\x1b[0m [\x1b[31mWRN\x1b[0m] node connection"));
        assert!(text.contains("\\u001b[31m"), "{text:?}");
        assert_eq!(text.matches('\n').count(), 1);
    }
}
