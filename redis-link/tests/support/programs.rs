//! Which servers tests start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The Redis of tests: `redis-server`, or another one that the variable `TIDEGATE_TEST_REDIS` names.
pub(super) fn redis() -> OsString {
    std::env::var_os("TIDEGATE_TEST_REDIS").unwrap_or_else(|| "redis-server".into())
}

/// A Valkey, whose hash fields can expire. Comes with the Python packages of the tests.
///
/// # Panics
/// If it is not there yet.
pub(super) fn valkey() -> OsString {
    let installed = root().join("tests/.venv/bin/valkey-server");
    assert!(
        installed.exists(),
        "there is no Valkey yet: `make tests/.venv/.installed` installs it"
    );
    installed.into()
}

/// The folder of the project, from that of any of its packages.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package
        .ancestors()
        .find(|folder| folder.join("tests/python").exists());
    root.unwrap_or(package).to_owned()
}
