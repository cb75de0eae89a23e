//! The command line (configuration.md 3).
//!
//! Without a command, the server runs: [`start`] then yields [`RunArgs`], and everything else is up to the
//! caller. All commands are helpers for operators, done and over when [`start`] returns; they print results *and*
//! errors to standard output, where scripts made for the reference expect them, and fail with status 1.
//!
//! What commands are called and take is said by the types below, for `clap`; the flags of the server come from
//! the definition of the options. Commands get output, environment and time from a [`Context`], so tests run them
//! in memory.

mod check;
mod configdoc;
mod flags;
mod generate;
mod run;
mod serve;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, LoadError, Loaded, Sources};
pub use run::{DotenvError, RunArgs};

/// Reads the command line and does what it says, unless that is to run the server.
///
/// # Errors
///
/// There is no server to run: a command was executed, help was printed, or the line makes no sense. The process
/// should exit with this code.
pub fn start(args: impl IntoIterator<Item = OsString>) -> Result<RunArgs, ExitCode> {
    let tool = match parse(args) {
        Ok(Command::Run(run)) => return Ok(run),
        Ok(Command::Tool(tool)) => tool,
        Err(error) => {
            // Nobody is left to tell if the terminal is gone.
            let _ = error.print();
            return Err(if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            });
        }
    };
    let mut out = io::stdout().lock();
    let result = tool.execute(&mut Context {
        out: &mut out,
        environment: process_environment(),
        unix_time: unix_time(),
    });
    match result {
        Ok(()) => Err(ExitCode::SUCCESS),
        Err(Failure(message)) => {
            let _ = writeln!(out, "{message}");
            Err(ExitCode::FAILURE)
        }
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Command {
    /// To run the server.
    Run(RunArgs),
    /// To do something else.
    Tool(Tool),
}

/// Reads a command line, whose first argument is the name of the program.
///
/// # Errors
///
/// Help was asked for, or the line makes no sense; the error knows how to print itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    if matches.subcommand_name().is_some() {
        return Tool::from_arg_matches(&matches).map(Command::Tool);
    }
    Ok(Command::Run(RunArgs::from_matches(&matches)))
}

fn command() -> clap::Command {
    CommandLine::command().args(flags::arguments())
}

/// Real-time messaging server: WebTransport first, Centrifugo v6 compatible.
///
/// Without a command, it runs. Every option can also be set in the configuration file and by an environment
/// variable; flags are the strongest.
#[derive(Parser)]
#[command(
    name = "tidegate",
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    after_help = "All options: tidegate configdoc --markdown"
)]
struct CommandLine {
    #[command(subcommand)]
    tool: Option<Tool>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Write a minimal configuration file with new secrets
    #[command(name = "genconfig")]
    GenConfig(GenConfig),
    /// Check a configuration: silent if it is good
    #[command(name = "checkconfig")]
    CheckConfig(CheckConfig),
    /// Write a configuration file with all options and their defaults
    #[command(name = "defaultconfig")]
    DefaultConfig(DefaultConfig),
    /// Print all options as environment variables
    #[command(name = "defaultenv")]
    DefaultEnv(DefaultEnv),
    /// Show the reference of options, as a page or as Markdown
    #[command(name = "configdoc")]
    ConfigDoc(ConfigDoc),
    /// Make a token (JWT) for a connection
    #[command(name = "gentoken")]
    GenToken(GenToken),
    /// Make a token (JWT) for a subscription
    #[command(name = "gensubtoken")]
    GenSubToken(GenSubToken),
    /// Verify the token of a connection
    #[command(name = "checktoken")]
    CheckToken(CheckToken),
    /// Verify the token of a subscription
    #[command(name = "checksubtoken")]
    CheckSubToken(CheckToken),
    /// Serve static files, for development; not the server itself
    Serve(Serve),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// Shells that completions are made for.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[allow(missing_docs, reason = "names say it all")]
pub enum Shell {
    Bash,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// Configuration file; empty for none
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "config.json"
    )]
    config: PathBuf,
}

/// Flags of `genconfig`.
#[derive(Debug, Args)]
pub struct GenConfig {
    /// File to write: .json, .toml, .yaml or .yml
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "config.json"
    )]
    config: PathBuf,
}

/// Flags of `checkconfig`.
#[derive(Debug, Args)]
pub struct CheckConfig {
    #[command(flatten)]
    file: ConfigFile,
    /// Fail on keys that are no options or not supported
    #[arg(short, long)]
    strict: bool,
}

/// Flags of `defaultconfig`.
#[derive(Debug, Args)]
pub struct DefaultConfig {
    /// File to write: .json, .toml, .yaml or .yml
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "config.json"
    )]
    config: PathBuf,
    /// Configuration file whose values replace defaults
    #[arg(short, long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Print and write nothing
    #[arg(short, long)]
    dry_run: bool,
}

/// Flags of `defaultenv`.
#[derive(Debug, Args)]
pub struct DefaultEnv {
    /// Configuration file whose values replace defaults
    #[arg(short, long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Leave out what is false, 0 or empty
    #[arg(long)]
    base_non_zero_only: bool,
}

/// Flags of `configdoc`.
#[derive(Debug, Args)]
pub struct ConfigDoc {
    /// Port of the page, on the loopback interface
    #[arg(short, long, default_value_t = 6060)]
    port: u16,
    /// Print Markdown
    #[arg(short, long)]
    markdown: bool,
    /// Print this section only
    #[arg(short, long, requires = "markdown")]
    section: Option<String>,
    /// Level of the first heading
    #[arg(short = 'l', long, default_value_t = 1, requires = "markdown")]
    base_level: usize,
}

/// Flags of `gentoken`.
#[derive(Debug, Args)]
pub struct GenToken {
    #[command(flatten)]
    file: ConfigFile,
    /// ID of the user; empty for an anonymous one
    #[arg(short, long, default_value = "")]
    user: String,
    /// Seconds until the token expires; 0 or less for never
    #[arg(short, long, default_value_t = 604_800, allow_negative_numbers = true)]
    ttl: i64,
    /// Print the token and nothing else
    #[arg(short, long)]
    quiet: bool,
}

/// Flags of `gensubtoken`.
#[derive(Debug, Args)]
pub struct GenSubToken {
    #[command(flatten)]
    token: GenToken,
    /// The channel
    #[arg(short = 's', long, default_value = "")]
    channel: String,
}

/// Flags of `checktoken` and `checksubtoken`.
#[derive(Debug, Args)]
pub struct CheckToken {
    #[command(flatten)]
    file: ConfigFile,
    /// The token
    token: Option<String>,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Directory to serve
    #[arg(short, long, default_value = "./")]
    dir: PathBuf,
    /// Port
    #[arg(short, long, default_value_t = 3000)]
    port: u16,
    /// Host; empty for all interfaces
    #[arg(short, long, default_value = "")]
    address: String,
}

/// What commands need from the world.
pub struct Context<'a> {
    /// Where results go.
    pub out: &'a mut dyn Write,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Now, in Unix seconds.
    pub unix_time: i64,
}

/// Why a command failed, in the words that are printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl Tool {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What went wrong.
    pub fn execute(self, context: &mut Context<'_>) -> Result<(), Failure> {
        match self {
            Self::GenConfig(args) => generate::minimal_file(&args),
            Self::CheckConfig(args) => check::check(&args, context),
            Self::DefaultConfig(args) => generate::full_file(&args, context),
            Self::DefaultEnv(args) => generate::variables(&args, context),
            Self::ConfigDoc(args) => configdoc::show(&args, context),
            Self::GenToken(args) => tokens::generate_connection(&args, context),
            Self::GenSubToken(args) => tokens::generate_subscription(&args, context),
            Self::CheckToken(args) => tokens::check_connection(&args, context),
            Self::CheckSubToken(args) => tokens::check_subscription(&args, context),
            Self::Serve(args) => serve::serve(&args, context),
            Self::Version => version(context),
            Self::Completion { shell } => {
                complete(shell, context);
                Ok(())
            }
        }
    }
}

impl Context<'_> {
    /// Loads a configuration as the server would, but without `.env`.
    fn load(&self, file: &ConfigFile) -> Result<Loaded, LoadError> {
        let file = Some(file.config.clone()).filter(|file| !file.as_os_str().is_empty());
        config::load(&Sources {
            file,
            environment: self.environment.clone(),
            flags: Vec::new(),
        })
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self(format!("{}: {error}", error.summary()))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(format!("error: {error}"))
    }
}

fn version(context: &mut Context<'_>) -> Result<(), Failure> {
    let compiler = option_env!("TIDEGATE_RUSTC_VERSION").map(|version| format!(" (Rust {version})"));
    writeln!(
        context.out,
        "Tidegate v{}{}",
        env!("CARGO_PKG_VERSION"),
        compiler.unwrap_or_default()
    )?;
    Ok(())
}

fn complete(shell: Shell, context: &mut Context<'_>) {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::PowerShell => clap_complete::Shell::PowerShell,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    clap_complete::generate(shell, &mut command(), "tidegate", &mut context.out);
}

fn process_environment() -> BTreeMap<String, String> {
    // Names and values that are not UTF-8 cannot be ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn unix_time() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
