//! `genconfig`, `defaultconfig` and `defaultenv`: configurations to start from.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::{Context, DefaultConfig, DefaultEnv, Failure, GenConfig};
use crate::config::{Format, Sources, sample};

/// Length of secrets before they are encoded, in bytes.
const SECRET: usize = 64;

/// Writes what a server with tokens and an API needs.
pub(super) fn minimal_file(args: &GenConfig) -> Result<(), Failure> {
    let format = format(&args.config)?;
    let (token, key) = (secret()?, secret()?);
    let text = match format {
        Format::Json => format!(
            "{{\n  \"client\": {{\n    \"token\": {{\n      \"hmac_secret_key\": \"{token}\"\n    }},\n    \
             \"allowed_origins\": []\n  }},\n  \"http_api\": {{\n    \"key\": \"{key}\"\n  }}\n}}\n"
        ),
        Format::Yaml => format!(
            "client:\n  token:\n    hmac_secret_key: \"{token}\"\n  allowed_origins: []\n\
             http_api:\n  key: \"{key}\"\n"
        ),
        Format::Toml => format!(
            "[client]\nallowed_origins = []\n\n[client.token]\nhmac_secret_key = \"{token}\"\n\n\
             [http_api]\nkey = \"{key}\"\n"
        ),
    };
    write_new(&args.config, &text, "output config file already exists")
}

/// Writes or prints a file with all options.
pub(super) fn full_file(args: &DefaultConfig, context: &mut Context<'_>) -> Result<(), Failure> {
    let format = format(&args.config)?;
    let sources = sources(args.base.as_deref(), context)?;
    let text = sample::file(&sources, format).map_err(|error| Failure(format!("error: {error}")))?;
    if args.dry_run {
        context.out.write_all(text.as_bytes())?;
        return Ok(());
    }
    write_new(&args.config, &text, "target file already exists")
}

/// Prints all options as variables.
pub(super) fn variables(args: &DefaultEnv, context: &mut Context<'_>) -> Result<(), Failure> {
    let sources = sources(args.base.as_deref(), context)?;
    let text = sample::environment(&sources, args.base_non_zero_only)?;
    context.out.write_all(text.as_bytes())?;
    Ok(())
}

fn format(path: &Path) -> Result<Format, Failure> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    Format::of(&extension).ok_or_else(|| {
        let supported = "json, toml, yaml, yml";
        Failure(format!(
            "error: output config file must have one of supported extensions: {supported}"
        ))
    })
}

fn sources(base: Option<&Path>, context: &Context<'_>) -> Result<Sources, Failure> {
    if let Some(base) = base
        && let Err(error) = std::fs::metadata(base)
    {
        return Err(Failure(format!(
            "error: base config file {}: {error}",
            base.display()
        )));
    }
    Ok(Sources {
        file: base.map(PathBuf::from),
        environment: context.environment.clone(),
        flags: Vec::new(),
    })
}

/// Writes a file that only its owner may read, unless there is one already.
fn write_new(path: &Path, text: &str, exists: &str) -> Result<(), Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure(format!("error: {exists}: {}", path.display())),
            _ => Failure(format!("error: {}: {error}", path.display())),
        })?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

fn secret() -> Result<String, Failure> {
    let mut bytes = [0; SECRET];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Failure(format!("error: no random numbers: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
