//! The rules of configuration.md, as tables.

mod defaults;
mod environment;
mod file;
mod layers;
mod limits;
mod support;
mod validation;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// Sources under construction, with a directory for the file.
struct Setup {
    sources: Sources,
    directory: Option<TempDir>,
}

impl Setup {
    fn new() -> Self {
        Self {
            sources: Sources::default(),
            directory: None,
        }
    }

    /// A file with these contents.
    fn file(mut self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("file");
        self.sources.file = Some(path);
        self.directory = Some(directory);
        self
    }

    fn json(self, text: &str) -> Self {
        self.file("config.json", text)
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.sources.flags.push((key.to_owned(), value.to_owned()));
        self
    }

    fn path(&self) -> PathBuf {
        self.sources.file.clone().unwrap_or_default()
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.sources)
    }

    #[track_caller]
    fn loaded(&self) -> Loaded {
        self.load().expect("valid")
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.loaded().config
    }

    /// The one thing that is wrong.
    #[track_caller]
    fn problem(&self) -> Problem {
        match self.load() {
            Err(LoadError::Values(mut problems) | LoadError::Invalid(mut problems)) => {
                assert_eq!(problems.len(), 1, "{problems:?}");
                problems.remove(0)
            }
            other => panic!("{other:?}"),
        }
    }
}
