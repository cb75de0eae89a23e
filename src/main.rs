//! The `tidegate` binary: reads the command line and runs the server.

use std::path::Path;
use std::process::ExitCode;

use tidegate::cli::{self, DotenvError, RunArgs};
use tidegate::telemetry::log;
use tidegate::{config, server};

#[cfg(feature = "mimalloc")]
mod allocator;

/// What workers do about once a second to give memory back.
#[cfg(feature = "mimalloc")]
const TRIM: Option<fn()> = Some(allocator::trim);
#[cfg(not(feature = "mimalloc"))]
const TRIM: Option<fn()> = None;

fn main() -> ExitCode {
    match cli::start(std::env::args_os()) {
        Ok(args) => run(&args),
        Err(code) => code,
    }
}

fn run(args: &RunArgs) -> ExitCode {
    let (sources, has_dotenv) = match args.sources() {
        Ok(sources) => sources,
        Err(error) => return fail(DotenvError::SUMMARY, &error),
    };
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(error) => return fail(error.summary(), &error),
    };
    let file = loaded.config.log.file.as_str();
    let file = (!file.is_empty()).then(|| Path::new(file));
    if let Err(error) = log::init(loaded.config.log.level, file) {
        return fail(error.message(), &error.cause());
    }
    if has_dotenv {
        tracing::info!("environment variables have been loaded from .env file");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail("error starting the runtime", &error),
    };
    match runtime.block_on(server::run(sources, loaded, TRIM)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(server::Failed) => ExitCode::FAILURE,
    }
}

fn fail(message: &str, error: &dyn std::fmt::Display) -> ExitCode {
    log::fatal(message, error);
    ExitCode::FAILURE
}
