//! Listings of directories.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// A page with links to what is in a directory, directories with a slash.
pub(super) fn html(directory: &Path) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let slash = if entry.path().is_dir() { "/" } else { "" };
        // Names that are not UTF-8 cannot be asked for either.
        if let Ok(name) = entry.file_name().into_string() {
            names.push(format!("{name}{slash}"));
        }
    }
    names.sort();
    let mut page = String::from("<!doctype html>\n<meta charset=\"utf-8\">\n<pre>\n");
    for name in names {
        let _ = writeln!(page, "<a href=\"./{}\">{}</a>", encode(&name), escape(&name));
    }
    page.push_str("</pre>\n");
    Ok(page)
}

/// Escapes for a path within an attribute: everything that could be anything else.
fn encode(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
