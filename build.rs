//! Compiles the `.proto` files to message types, without a system protoc, and lists the files of the web client.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[path = "src/protocol/json/codegen.rs"]
mod json_codegen;

fn main() -> Result<(), Box<dyn Error>> {
    tell_compiler();
    compile_protos()?;
    list_web_client()
}

/// `tidegate version` names the compiler.
fn tell_compiler() {
    let version = env::var("RUSTC")
        .ok()
        .and_then(|rustc| Command::new(rustc).arg("--version").output().ok());
    if let Some(version) = version.and_then(|output| String::from_utf8(output.stdout).ok()) {
        let version = version.split_whitespace().nth(1).unwrap_or_default();
        println!("cargo:rustc-env=TIDEGATE_RUSTC_VERSION={version}");
    }
}

fn compile_protos() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=src/protocol/json/codegen.rs");
    let files = protox::compile(["proto/client.proto", "proto/api.proto"], ["proto"])?;
    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]);
    config.compile_fds(files.clone())?;
    json_codegen::append(&files, Path::new(&env::var("OUT_DIR")?))?;
    // What nodes and engines tell each other is never JSON.
    let files = protox::compile(["proto/control.proto"], ["proto"])?;
    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]);
    config.compile_fds(files)?;
    Ok(())
}

/// Writes a table of the built web client's files for `server::test_page`; an empty one if it was not built.
fn list_web_client() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=web-client/dist");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web-client/dist");
    let mut files = Vec::new();
    if root.is_dir() {
        collect(&root, &mut files)?;
    }
    files.sort();
    let mut table =
        String::from("/// Files of the web client by path.\nstatic FILES: &[(&str, &[u8])] = &[\n");
    for file in files {
        let name = file.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
        writeln!(
            table,
            "    ({name:?}, include_bytes!({:?})),",
            file.to_string_lossy()
        )?;
    }
    table.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("web_client.rs"), table)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
