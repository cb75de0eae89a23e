//! The server as a process: configuration, signals, PID file, exit.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Server;
use crate::config::{self, Loaded, Sources};
use crate::telemetry::log;

/// Runs the server until a signal ends it. The error was logged; the process should exit with status 1. `trim`:
/// see [`Server::start`].
///
/// # Errors
/// [`Failed`] if the server could not start, or did not stop in time.
pub async fn run(sources: Sources, loaded: Loaded, trim: Option<fn()>) -> Result<(), Failed> {
    let pid_file = PidFile::write(&loaded.config.pid_file)?;
    log_start(&sources, &loaded);
    // Signals are taken before the server starts: one that comes early must not kill it half-started.
    let mut signals =
        Signals::install().map_err(|error| fatal("error installing signal handlers", &error))?;
    let server = Server::start(&loaded, trim)
        .await
        .map_err(|error| fatal("error starting server", &error))?;
    if let Some(url) = server.page_url() {
        tracing::info!(url, "test page is served");
    }
    loop {
        match signals.next().await {
            Received::Reload => reload(&server, &sources, loaded.file_found),
            Received::Stop(name) => {
                tracing::info!("signal received: {name}");
                break;
            }
        }
    }
    tracing::info!("shutting down ...");
    let stopped = server.stop().await;
    drop(pid_file);
    stopped.map_err(|error| {
        log::fatal("shutdown timeout reached", &error);
        Failed
    })
}

/// The process must exit with status 1; why has been logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

fn fatal(message: &str, error: &dyn std::fmt::Display) -> Failed {
    log::fatal(message, error);
    Failed
}

fn log_start(sources: &Sources, loaded: &Loaded) {
    match &sources.file {
        Some(file) if loaded.file_found => {
            let path = fs::canonicalize(file).unwrap_or_else(|_| file.clone());
            tracing::info!(path = %path.display(), "using config file");
        }
        _ => tracing::warn!("config file not found, continue using environment and flag options"),
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        workers = std::thread::available_parallelism().map_or(1, usize::from),
        "starting Tidegate"
    );
}

fn reload(server: &Server, sources: &Sources, had_file: bool) {
    tracing::info!("signal received: hangup");
    tracing::info!("reloading configuration");
    let result = config::load(sources)
        .map_err(|error| error.to_string())
        .and_then(|loaded| {
            // A file that vanished would reset tokens and namespaces to nothing.
            if had_file && !loaded.file_found {
                Err("config file not found".to_owned())
            } else {
                Ok(loaded)
            }
        })
        .and_then(|loaded| server.reload(&loaded.config).map_err(|error| error.to_string()));
    match result {
        Ok(()) => tracing::info!("configuration successfully reloaded"),
        Err(error) => tracing::error!(%error, "error reading config"),
    }
}

enum Received {
    Reload,
    Stop(&'static str),
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.hangup.recv() => Received::Reload,
            _ = self.interrupt.recv() => Received::Stop("interrupt"),
            _ = self.terminate.recv() => Received::Stop("terminated"),
        }
    }
}

/// Removes the file when dropped.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn write(path: &str) -> Result<Self, Failed> {
        if path.is_empty() {
            return Ok(Self(None));
        }
        write_private(Path::new(path), &format!("{}\n", std::process::id()))
            .map_err(|error| fatal("error writing PID", &error))?;
        Ok(Self(Some(path.into())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Nothing is left to do about a file that somebody else removed.
            let _ = fs::remove_file(path);
        }
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
