use std::path::PathBuf;

use super::*;

fn server(line: &[&str]) -> RunArgs {
    match parse(args(line)) {
        Ok(Command::Run(run)) => run,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn the_server_is_the_bare_command() {
    assert_eq!(
        server(&[]),
        RunArgs {
            file: Some("config.json".into()),
            flags: Vec::new()
        }
    );
    assert_eq!(server(&["-c", ""]).file, None);
    for line in [
        &["-c", "x.yaml"][..],
        &["--config=x.yaml"],
        &["--config", "a.json", "-c", "x.yaml"],
    ] {
        assert_eq!(server(line).file, Some(PathBuf::from("x.yaml")), "{line:?}");
    }
}

#[test]
fn flags_are_the_strongest_layer() {
    for (line, key, value) in [
        (&["-p", "9000"][..], "http_server.port", "9000"),
        (&["--http_server.port=9000"], "http_server.port", "9000"),
        (&["-a127.0.0.1"], "http_server.address", "127.0.0.1"),
        (&["--http_server.address="], "http_server.address", ""),
        (&["--health.enabled"], "health.enabled", "true"),
        (&["--health.enabled=false"], "health.enabled", "false"),
        (
            &["--health.enabled=true", "--health.enabled=0"],
            "health.enabled",
            "0",
        ),
        (
            &["--client.allowed_origins", "a b"],
            "client.allowed_origins",
            "a b",
        ),
        (&["--engine.type", "redis"], "engine.type", "redis"),
        (&["--shutdown.timeout", "-1s"], "shutdown.timeout", "-1s"),
    ] {
        assert_eq!(
            server(line).flags,
            [(key.to_owned(), value.to_owned())],
            "{line:?}"
        );
    }
    let run = RunArgs {
        file: None,
        ..server(&["--health.enabled=false", "-p", "9000"])
    };
    let directory = tempfile::tempdir().expect("temporary directory");
    let environment = BTreeMap::from([("CENTRIFUGO_HEALTH_ENABLED".to_owned(), "true".to_owned())]);
    let (sources, has_dotenv) = run.sources_in(directory.path(), environment).expect("sources");
    let config = config::load(&sources).expect("valid").config;
    assert!(!config.health.enabled && !has_dotenv);
    assert_eq!(config.http_server.port, 9000);
}

#[test]
fn every_flag_is_an_option() {
    for (key, _) in flags::FLAGS {
        assert!(crate::config::option(key).is_some(), "{key}");
    }
    command().debug_assert();
}

#[test]
fn dotenv_does_not_replace_what_is_set() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join(".env");
    std::fs::write(
        &path,
        "# comment\nTIDEGATE_HTTP_SERVER_PORT=1\nTIDEGATE_LOG_LEVEL=\"debug\"\n",
    )
    .expect("file");
    let environment = BTreeMap::from([("TIDEGATE_HTTP_SERVER_PORT".to_owned(), "2".to_owned())]);
    let (sources, has_dotenv) = server(&[])
        .sources_in(directory.path(), environment)
        .expect("sources");
    assert!(has_dotenv);
    assert_eq!(sources.environment["TIDEGATE_HTTP_SERVER_PORT"], "2");
    assert_eq!(sources.environment["TIDEGATE_LOG_LEVEL"], "debug");
    std::fs::write(&path, "no assignment").expect("file");
    let error = server(&[])
        .sources_in(directory.path(), BTreeMap::new())
        .expect_err("malformed");
    assert!(error.to_string().starts_with(text(&path)), "{error}");
    assert_eq!(DotenvError::SUMMARY, "error loading .env file");
}

#[test]
fn lines_that_make_no_sense() {
    for line in [
        &["nope"][..],
        &["--nope"],
        &["--version"],
        &["-p", "1", "version"],
        &["completion", "sh"],
        &["-c"],
    ] {
        let error = parse(args(line)).expect_err("refused");
        assert!(error.use_stderr(), "{line:?}: {error}");
    }
    let error = parse(args(&["nope"])).expect_err("refused").to_string();
    assert!(error.contains("'nope'"), "{error}");
}

#[test]
fn help() {
    let help = |line: &[&str]| {
        let error = parse(args(line)).expect_err("help");
        assert!(!error.use_stderr(), "{line:?}: {error}");
        error.to_string()
    };
    let page = help(&["--help"]);
    for part in [
        "Usage: tidegate [OPTIONS]",
        "gensubtoken",
        "-p, --http_server.port <INT>",
        "--engine.type",
        "[default: 8000]",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("--admin.enabled"), "{page}");
    assert!(help(&["-h"]).contains("--webtransport.enabled"));
    for line in [&["help", "gentoken"][..], &["gentoken", "-h"]] {
        assert!(help(line).contains("--ttl <TTL>"), "{line:?}");
    }
}

#[test]
fn version_and_completion() {
    let version = run(&["version"]).expect("version");
    assert!(
        version.starts_with(concat!("Tidegate v", env!("CARGO_PKG_VERSION"))),
        "{version}"
    );
    for (shell, part) in [
        ("bash", "complete -F _tidegate"),
        ("fish", "complete -c tidegate"),
        ("zsh", "#compdef tidegate"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        assert!(
            run(&["completion", shell]).expect(shell).contains(part),
            "{shell}"
        );
    }
}
