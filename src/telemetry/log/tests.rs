//! Lines as operators get them.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use time::OffsetDateTime;
use time::macros::datetime;
use tracing::{debug, error, info, trace, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::sink::Sink;
use super::{Form, LogError, LogLayer, Redacted, layer};
use crate::config::LogLevel;

const CONSOLE: Form = Form::Console { coloured: false };

#[test]
fn json_has_level_error_fields_time_message() {
    let lines = logged(LogLevel::Info, Form::Json, || {
        info!(path = "/etc/c.json", "using config file");
        info!(client = %"42", code = 103_u32, error = ?"no\n", offset = -1, "client command {}", "error");
    });
    assert_eq!(
        lines,
        concat!(
            r#"{"level":"info","path":"/etc/c.json","time":"2026-01-31T12:00:00Z","message":"using config file"}"#,
            "\n",
            r#"{"level":"info","error":"\"no\\n\"","client":"42","code":103,"offset":-1,"#,
            r#""time":"2026-01-31T12:00:00Z","message":"client command error"}"#,
            "\n",
        )
    );
}

#[test]
fn numbers_and_booleans_are_bare_and_all_else_is_text() {
    let cause = io::Error::other("broken \"pipe\"");
    let lines = logged(LogLevel::Info, Form::Json, || {
        let nothing: Option<u8> = None;
        info!(
            a = true,
            b = 1.5,
            c = f64::NAN,
            d = u64::MAX,
            e = i128::MIN,
            r#type = "t",
            nothing
        );
        error!(error = &cause as &dyn std::error::Error, addr = ?("x", 1), "\u{1b}line\nbreak");
    });
    assert_eq!(
        lines,
        concat!(
            r#"{"level":"info","a":true,"b":1.5,"c":"NaN","d":18446744073709551615,"#,
            r#""e":-170141183460469231731687303715884105728,"type":"t","time":"2026-01-31T12:00:00Z"}"#,
            "\n",
            r#"{"level":"error","error":"broken \"pipe\"","addr":"(\"x\", 1)","#,
            r#""time":"2026-01-31T12:00:00Z","message":"\u001bline\nbreak"}"#,
            "\n",
        )
    );
}

#[test]
fn console_has_time_level_message_error_fields() {
    let lines = logged(LogLevel::Trace, CONSOLE, || {
        trace!("t");
        debug!("d");
        info!(key = "value", n = 7, "message");
        warn!(text = "two words", quote = "a\"b", name = "it's", empty = "", "w");
        error!(key = true, error = "\u{1b}[31m", "a\nb");
    });
    assert_eq!(
        lines,
        "2026-01-31 12:00:00 [TRC] t\n\
         2026-01-31 12:00:00 [DBG] d\n\
         2026-01-31 12:00:00 [INF] message key=value n=7\n\
         2026-01-31 12:00:00 [WRN] w text=\"two words\" quote=\"a\\\"b\" name=it's empty=\n\
         2026-01-31 12:00:00 [ERR] a\\nb error=\"\\u{1b}[31m\" key=true\n"
    );
}

#[test]
fn console_is_coloured_on_request() {
    let lines = logged(LogLevel::Info, Form::Console { coloured: true }, || {
        info!(error = "e", key = "value", "message");
    });
    assert_eq!(
        lines,
        "\x1b[90m2026-01-31 12:00:00\x1b[0m \x1b[32m[INF]\x1b[0m message \
         \x1b[36merror=\x1b[0m\x1b[31me\x1b[0m \x1b[36mkey=\x1b[0mvalue\n"
    );
}

#[test]
fn a_level_lets_through_itself_and_what_is_graver() {
    let all = || {
        trace!("t");
        debug!("d");
        info!("i");
        warn!("w");
        error!("e");
    };
    for (level, count) in [
        (LogLevel::None, 0),
        (LogLevel::Fatal, 0),
        (LogLevel::Error, 1),
        (LogLevel::Warn, 2),
        (LogLevel::Info, 3),
        (LogLevel::Debug, 4),
        (LogLevel::Trace, 5),
    ] {
        assert_eq!(logged(level, CONSOLE, all).lines().count(), count, "{level:?}");
    }
}

#[test]
fn dependencies_speak_from_warn_on_unless_at_trace() {
    let all = || {
        info!(target: "quinn::connection", "i");
        warn!(target: "quinn::connection", "w");
        info!(target: "tidegate_transports::session", "ours");
    };
    let short = |level| {
        logged(level, CONSOLE, all)
            .lines()
            .map(|line| line[20..].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(short(LogLevel::Debug), ["[WRN] w", "[INF] ours"]);
    assert_eq!(short(LogLevel::Trace), ["[INF] i", "[WRN] w", "[INF] ours"]);
}

#[test]
fn fatal_is_written_at_every_level_but_none() {
    let fatal = |level, form, error: &str| {
        let (layer, output) = recording(level, form);
        layer.fatal("shutdown timeout reached", &error);
        output.text()
    };
    assert_eq!(
        fatal(LogLevel::Fatal, Form::Json, "2 clients left"),
        concat!(
            r#"{"level":"fatal","error":"2 clients left","time":"2026-01-31T12:00:00Z","#,
            r#""message":"shutdown timeout reached"}"#,
            "\n"
        )
    );
    assert_eq!(
        fatal(LogLevel::Trace, CONSOLE, ""),
        "2026-01-31 12:00:00 [FTL] shutdown timeout reached\n"
    );
    assert_eq!(fatal(LogLevel::None, Form::Json, "e"), "");
}

#[test]
fn secrets_do_not_print() {
    let token = Redacted("eyJ");
    let lines = logged(
        LogLevel::Trace,
        Form::Json,
        || trace!(%token, debug = ?Some(&token), "in"),
    );
    assert_eq!(
        lines,
        concat!(
            r#"{"level":"trace","token":"<REDACTED>","debug":"Some(<REDACTED>)","#,
            r#""time":"2026-01-31T12:00:00Z","message":"in"}"#,
            "\n"
        )
    );
    assert_eq!(token.0, "eyJ");
}

#[test]
fn values_may_log_and_fail_while_they_are_formatted() {
    struct Chatty;
    impl fmt::Display for Chatty {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            // To a layer of its own: inside an event, `tracing` suppresses events to the same subscriber.
            let (layer, output) = recording(LogLevel::Info, CONSOLE);
            layer.fatal("inner", &"");
            formatter.write_str(output.text().trim_end().rsplit(' ').next().unwrap())?;
            Err(fmt::Error)
        }
    }
    let lines = logged(
        LogLevel::Info,
        CONSOLE,
        || info!(a = 1, value = %Chatty, b = 2, "outer"),
    );
    assert_eq!(lines, "2026-01-31 12:00:00 [INF] outer a=1 value=inner b=2\n");
}

#[test]
fn lines_of_threads_do_not_mix() {
    let (layer, output) = recording(LogLevel::Info, CONSOLE);
    thread::scope(|scope| {
        for thread in 0..4 {
            let layer = layer.clone();
            scope.spawn(move || {
                let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
                for _ in 0..50 {
                    info!(long = "x".repeat(500 * (thread + 1)), "line");
                }
            });
        }
    });
    let text = output.text();
    assert_eq!(text.lines().count(), 200);
    assert!(
        text.lines()
            .all(|line| line.starts_with("2026-01-31 12:00:00 [INF] line long=x"))
    );
    assert!(
        output.0.lock().iter().all(|written| written.ends_with(b"\n")),
        "one write a line"
    );
}

#[test]
fn failing_writers_are_ignored() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("full"))
        }
    }
    layer(LogLevel::Info, Form::Json, Broken).fatal("message", &"error");
}

#[test]
fn files_are_appended_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, "before\n").unwrap();
    LogLayer::new(LogLevel::Info, Sink::file(&path).unwrap())
        .with_clock(noon)
        .fatal("m", &"");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "before\n{\"level\":\"fatal\",\"time\":\"2026-01-31T12:00:00Z\",\"message\":\"m\"}\n"
    );
}

#[cfg(unix)]
#[test]
fn new_files_can_be_read_by_all_and_written_by_the_owner() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    Sink::file(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    // The umask may take bits away, it gives none.
    assert_eq!(mode & 0o777 & !0o644, 0);
    assert_eq!(mode & 0o600, 0o600);
}

#[test]
fn files_that_cannot_be_opened_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let error = Sink::file(directory.path()).err().unwrap();
    assert!(matches!(error, LogError::OpenFile { .. }));
    assert_eq!(error.message(), "error opening log file");
    assert_eq!(
        error.to_string(),
        format!("{}: {}", error.message(), error.cause())
    );
}

/// What a function logs.
fn logged(level: LogLevel, form: Form, function: impl FnOnce()) -> String {
    let (layer, output) = recording(level, form);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), function);
    output.text()
}

fn recording(level: LogLevel, form: Form) -> (LogLayer, Output) {
    let output = Output::default();
    (layer(level, form, output.clone()).with_clock(noon), output)
}

fn noon() -> OffsetDateTime {
    datetime!(2026-01-31 12:00:00.999 UTC)
}

/// Keeps what is written, a write an item.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<Vec<u8>>>>);

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().concat()).unwrap()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
