//! Scripts that do the same for many.

use std::sync::OnceLock;

use sha1::{Digest, Sha1};

/// A Lua script written for many calls at once.
///
/// For n calls it is given n × [`keys_per`](Self::keys_per) `KEYS` and n × [`args_per`](Self::args_per) `ARGV`, and
/// returns an array of n results in their order. A result may be an error (`redis.error_reply`), which is that of
/// its call alone; an error that the script raises is that of all, so what one call's data can cause is to be caught
/// (`redis.pcall`).
#[derive(Debug)]
pub struct Script {
    source: &'static str,
    /// Keys of one call.
    pub keys_per: usize,
    /// Arguments of one call.
    pub args_per: usize,
    /// How many calls may become one command: together they must not hold up the server.
    pub merge: usize,
    digest: OnceLock<String>,
}

impl Script {
    /// A script by its text.
    #[must_use]
    pub const fn new(source: &'static str, keys_per: usize, args_per: usize, merge: usize) -> Self {
        Self {
            source,
            keys_per,
            args_per,
            merge,
            digest: OnceLock::new(),
        }
    }

    pub(crate) fn source(&self) -> &'static str {
        self.source
    }

    /// The name by which the server knows it once it was loaded.
    pub(crate) fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            Sha1::digest(self.source.as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        })
    }
}
