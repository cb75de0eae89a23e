//! Commands, run in memory.

mod generate;
mod line;
mod serve;
mod tokens;

use std::path::Path;

use super::*;

const NOW: i64 = 1_700_000_000;

/// Runs a command line and returns what it printed, or its failure.
fn run(line: &[&str]) -> Result<String, String> {
    run_with(line, &[])
}

fn run_with(line: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
    let command = parse(args(line)).map_err(|error| error.to_string())?;
    let Command::Tool(tool) = command else {
        panic!("{line:?} runs the server")
    };
    let mut out = Vec::new();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut context = Context {
        out: &mut out,
        environment: environment.collect(),
        unix_time: NOW,
    };
    let result = tool.execute(&mut context);
    let out = String::from_utf8(out).expect("UTF-8");
    match result {
        Ok(()) => Ok(out),
        Err(Failure(message)) => Err(message),
    }
}

fn args(line: &[&str]) -> Vec<OsString> {
    std::iter::once("tidegate")
        .chain(line.iter().copied())
        .map(Into::into)
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A directory with a configuration file.
fn config(json: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("config.json");
    std::fs::write(&path, json).expect("file");
    let path = text(&path).to_owned();
    (directory, path)
}
