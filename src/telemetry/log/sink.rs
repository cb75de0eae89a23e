//! Where lines go.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use parking_lot::Mutex;

use super::error::LogError;
use super::record::Form;

/// A writer of lines of one form.
pub(super) struct Sink {
    form: Form,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl Sink {
    pub(super) fn new(form: Form, writer: impl Write + Send + 'static) -> Self {
        Self {
            form,
            writer: Mutex::new(Box::new(writer)),
        }
    }

    /// A terminal gets text on standard output; else standard output stays free for what reads it, and lines of
    /// JSON go to standard error. A terminal stays without colours if `NO_COLOR` is set to anything.
    pub(super) fn standard() -> Self {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            let coloured = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Self::new(Form::Console { coloured }, stdout)
        } else {
            Self::new(Form::Json, io::stderr())
        }
    }

    /// Lines of JSON, appended to a file.
    pub(super) fn file(path: &Path) -> Result<Self, LogError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
        let file = options.open(path).map_err(|source| LogError::OpenFile {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::new(Form::Json, file))
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Writes a whole line. A failure is lost: a log is where it would be reported.
    pub(super) fn write(&self, line: &[u8]) {
        let mut writer = self.writer.lock();
        let _ = writer.write_all(line).and_then(|()| writer.flush());
    }
}
