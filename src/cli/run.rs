//! What it takes to run the server: flags, and the environment with `.env` in it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::flags;
use crate::config::Sources;

/// The command line of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunArgs {
    /// The configuration file, if one is to be read.
    pub file: Option<PathBuf>,
    /// Dotted keys and values of the flags that were given.
    pub flags: Vec<(String, String)>,
}

/// `.env` is there and cannot be read. The fault is the operator's.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct DotenvError {
    path: String,
    error: dotenvy::Error,
}

impl DotenvError {
    /// The log message to which the error belongs as a field.
    pub const SUMMARY: &str = "error loading .env file";
}

impl RunArgs {
    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        let file = matches
            .get_one::<String>(flags::CONFIG)
            .filter(|file| !file.is_empty());
        Self {
            file: file.map(PathBuf::from),
            flags: flags::given(matches),
        }
    }

    /// The sources of the server's configuration, in this process and its working directory. Also says whether
    /// there was a `.env` file.
    ///
    /// # Errors
    ///
    /// `.env` is malformed.
    pub fn sources(&self) -> Result<(Sources, bool), DotenvError> {
        self.sources_in(Path::new(""), super::process_environment())
    }

    /// The same for any directory and environment. The environment itself is not changed; what is set there
    /// wins, and reloads see `.env` as it was at the start.
    ///
    /// # Errors
    ///
    /// `.env` is malformed.
    pub fn sources_in(
        &self,
        directory: &Path,
        mut environment: BTreeMap<String, String>,
    ) -> Result<(Sources, bool), DotenvError> {
        let path = directory.join(".env");
        let failed = |error| DotenvError {
            path: path.display().to_string(),
            error,
        };
        let has_dotenv = match dotenvy::from_path_iter(&path) {
            Ok(variables) => {
                for variable in variables {
                    let (name, value) = variable.map_err(failed)?;
                    environment.entry(name).or_insert(value);
                }
                true
            }
            Err(dotenvy::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        let sources = Sources {
            file: self.file.clone(),
            environment,
            flags: self.flags.clone(),
        };
        Ok((sources, has_dotenv))
    }
}
