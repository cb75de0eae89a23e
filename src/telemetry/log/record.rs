//! One event on its way to becoming a line.
//!
//! `tracing` shows the fields of an event one by one, in the order of the code, the message being one of them. A
//! line wants the error in front and the message last, or the other way round on a console. So the three are
//! collected apart, each encoded as it comes, and joined at the end.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::mem;

use time::OffsetDateTime;
use tracing::field::{Field, Visit};

use super::level::Label;

/// What lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `{"level":"info","error":"…","key":1,"time":"2026-01-31T12:00:00Z","message":"…"}`
    #[default]
    Json,
    /// `2026-01-31 12:00:00 [INF] message error=… key=1`
    Console {
        /// Whether to colour it by escape sequences.
        coloured: bool,
    },
}

/// An event, and the buffers for it.
#[derive(Default)]
pub(super) struct Record {
    form: Form,
    /// As given, not yet encoded.
    message: String,
    /// The field `error`, encoded.
    error: Vec<u8>,
    /// The other fields, encoded.
    fields: Vec<u8>,
    /// Text of a value that has to be formatted before it can be encoded.
    text: String,
    line: Vec<u8>,
}

thread_local! {
    /// Taken while in use, so that an event inside the formatting of another finds fresh buffers.
    static SPARE: Cell<Record> = Cell::default();
}

/// Buffers that grew beyond this many bytes, by an odd long line, are not kept.
const KEPT: usize = 64 * 1024;

impl Record {
    /// An empty record, in the buffers of this thread if it has them still.
    pub(super) fn take(form: Form) -> Self {
        let mut record = SPARE.try_with(Cell::take).unwrap_or_default();
        record.form = form;
        record.message.clear();
        record.error.clear();
        record.fields.clear();
        record.line.clear();
        record
    }

    /// Leaves the buffers to the next event of this thread.
    pub(super) fn put_back(self) {
        let text = self.message.capacity().max(self.text.capacity());
        let encoded = self
            .error
            .capacity()
            .max(self.fields.capacity())
            .max(self.line.capacity());
        if text.max(encoded) <= KEPT {
            // Fails while the thread ends.
            let _ = SPARE.try_with(|spare| spare.set(self));
        }
    }

    pub(super) fn message(&mut self, message: &str) {
        message.clone_into(&mut self.message);
    }

    /// The field `error`, unless it displays as nothing.
    pub(super) fn error(&mut self, error: &dyn fmt::Display) {
        let text = error.to_string();
        if !text.is_empty() {
            self.field(ERROR, Value::Text(&text));
        }
    }

    /// The finished line, with its line break.
    pub(super) fn line(&mut self, label: Label, time: OffsetDateTime) -> &[u8] {
        match self.form {
            Form::Json => self.json_line(label, time),
            Form::Console { coloured } => self.console_line(label, time, coloured),
        }
        self.line.push(b'\n');
        &self.line
    }

    fn json_line(&mut self, label: Label, time: OffsetDateTime) {
        put(&mut self.line, format_args!("{{\"level\":\"{}\"", label.name));
        self.line.extend_from_slice(&self.error);
        self.line.extend_from_slice(&self.fields);
        put(
            &mut self.line,
            format_args!(",\"time\":\"{}T{}Z\"", Date(time), Clock(time)),
        );
        if !self.message.is_empty() {
            put(&mut self.line, format_args!(",\"message\":"));
            put_json(&mut self.line, &self.message);
        }
        self.line.push(b'}');
    }

    fn console_line(&mut self, label: Label, time: OffsetDateTime, coloured: bool) {
        let (grey, colour) = (Paint("90", coloured), Paint(label.colour, coloured));
        let (date, clock, end) = (Date(time), Clock(time), Paint("0", coloured));
        put(
            &mut self.line,
            format_args!("{grey}{date} {clock}{end} {colour}[{}]{end}", label.short),
        );
        if !self.message.is_empty() {
            self.line.push(b' ');
            put_visible(&mut self.line, &self.message);
        }
        self.line.extend_from_slice(&self.error);
        self.line.extend_from_slice(&self.fields);
    }

    fn field(&mut self, name: &str, value: Value<'_>) {
        let is_error = name == ERROR;
        let buffer = if is_error {
            &mut self.error
        } else {
            &mut self.fields
        };
        match self.form {
            Form::Json => {
                buffer.push(b',');
                put_json(buffer, name);
                buffer.push(b':');
                match value {
                    Value::Text(text) => put_json(buffer, text),
                    Value::Literal(literal) => put(buffer, literal),
                }
            }
            Form::Console { coloured } => {
                let (cyan, end) = (Paint("36", coloured), Paint("0", coloured));
                put(buffer, format_args!(" {cyan}{name}={end}"));
                let red = coloured && is_error;
                put(buffer, format_args!("{}", Paint("31", red)));
                match value {
                    Value::Text(text) => put_word(buffer, text),
                    Value::Literal(literal) => put(buffer, literal),
                }
                put(buffer, format_args!("{}", Paint("0", red)));
            }
        }
    }

    fn text_field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == MESSAGE {
            self.message.clear();
            // An implementation that fails leaves what it wrote before, here and below.
            let _ = self.message.write_fmt(value);
            return;
        }
        let mut text = mem::take(&mut self.text);
        text.clear();
        let _ = text.write_fmt(value);
        self.field(name_of(field), Value::Text(&text));
        self.text = text;
    }

    fn literal_field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == MESSAGE {
            self.text_field(field, value);
        } else {
            self.field(name_of(field), Value::Literal(value));
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text_field(field, format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text_field(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.message(value);
        } else {
            self.field(name_of(field), Value::Text(value));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.literal_field(field, format_args!("{value}"));
        } else {
            // JSON has no number for it.
            self.text_field(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal_field(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.literal_field(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.literal_field(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.literal_field(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal_field(field, format_args!("{value}"));
    }
}

/// A value of a field.
enum Value<'a> {
    /// A string, to be encoded.
    Text(&'a str),
    /// A number or a boolean, which reads the same in every form.
    Literal(fmt::Arguments<'a>),
}

const MESSAGE: &str = "message";
const ERROR: &str = "error";

/// The name of a field, free of the mark that makes a keyword a name: `r#type` is `type`.
fn name_of(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

/// Writing to memory does not fail.
fn put(buffer: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let _ = buffer.write_fmt(text);
}

/// A string of JSON. Line breaks are escaped, so an event is one line whatever a peer put into it.
fn put_json(buffer: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(buffer, text);
}

/// Text for a terminal, which must not obey what a peer wrote: controls are shown, not sent.
fn put_visible(buffer: &mut Vec<u8>, text: &str) {
    for char in text.chars() {
        if char.is_control() {
            put(buffer, format_args!("{}", char.escape_debug()));
        } else {
            put(buffer, format_args!("{char}"));
        }
    }
}

/// One word of a terminal line, in quotes if it would not look like one.
fn put_word(buffer: &mut Vec<u8>, text: &str) {
    let plain = |char: char| char != ' ' && (char == '\'' || char.escape_debug().len() == 1);
    if text.chars().all(plain) {
        buffer.extend_from_slice(text.as_bytes());
    } else {
        put(buffer, format_args!("{text:?}"));
    }
}

/// An escape sequence, or nothing where colours are off.
struct Paint(&'static str, bool);

impl fmt::Display for Paint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 {
            write!(formatter, "\x1b[{}m", self.0)
        } else {
            Ok(())
        }
    }
}

/// `2026-01-31`
#[derive(Clone, Copy)]
struct Date(OffsetDateTime);

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(formatter, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

/// `12:00:00`
#[derive(Clone, Copy)]
struct Clock(OffsetDateTime);

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = self.0.to_hms();
        write!(formatter, "{hour:02}:{minute:02}:{second:02}")
    }
}
