//! Configuration files in all formats, with variables above them: an invalid one is refused, none makes the loader
//! panic, and loading depends on nothing but the sources.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tidegate::config::{self, Sources};
use tidegate_fuzz::choice;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("tidegate-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, text)) = choice(data) else { return };
    let extension = ["json", "yaml", "toml"][usize::from(mode) % 3];
    let path = FOLDER.join(format!("config.{extension}"));
    std::fs::write(&path, text).expect("a temporary file");
    let mut sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    let outcome = |sources| config::load(sources).map_err(|error| error.to_string());
    let first = format!("{:?}", outcome(&sources));
    assert_eq!(first, format!("{:?}", outcome(&sources)));

    // The same text as the values of variables, of which some are JSON.
    if let Ok(text) = std::str::from_utf8(text) {
        let keys = [
            "CLIENT_ALLOWED_ORIGINS",
            "CHANNEL_NAMESPACES",
            "CLIENT_PING_INTERVAL",
            "CHANNEL_WITHOUT_NAMESPACE_HISTORY_TTL",
        ];
        sources.file = None;
        sources.environment = keys
            .map(|key| (format!("CENTRIFUGO_{key}"), text.to_owned()))
            .into();
        let _ = config::load(&sources);
    }
});
