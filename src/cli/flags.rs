//! The server's flags: a choice of options, whose types and descriptions come from their definition.

use clap::{Arg, ArgAction, ArgMatches};

use crate::config::{Field, Kind, Status, option};

/// Options that have a flag, with its letter.
///
/// Those of the reference, and a few of ours, with which WebTransport can be tried without a file. Secrets have
/// none: a command line can be seen by everybody on the machine. Flags of
/// options that are not supported are read, so that a command line leads to the same warnings and errors as a
/// file would, but they are not advertised.
pub(super) const FLAGS: [(&str, Option<char>); 39] = [
    ("http_server.address", Some('a')),
    ("http_server.port", Some('p')),
    ("http_server.internal_address", None),
    ("http_server.internal_port", None),
    ("http_server.http3.enabled", None),
    ("http_server.development_certificate.enabled", None),
    ("pid_file", None),
    ("engine.type", None),
    ("broker.enabled", None),
    ("broker.type", None),
    ("presence_manager.enabled", None),
    ("presence_manager.type", None),
    ("map_broker.type", None),
    ("log.level", None),
    ("log.file", None),
    ("debug.enabled", None),
    ("admin.enabled", None),
    ("admin.external", None),
    ("admin.insecure", None),
    ("prometheus.enabled", None),
    ("swagger.enabled", None),
    ("health.enabled", None),
    ("uni_websocket.enabled", None),
    ("uni_sse.enabled", None),
    ("uni_http_stream.enabled", None),
    ("sse.enabled", None),
    ("http_stream.enabled", None),
    ("webtransport.enabled", None),
    ("init.enabled", None),
    ("test_page.enabled", None),
    ("client.allowed_origins", None),
    ("client.insecure", None),
    ("http_api.insecure", None),
    ("http_api.external", None),
    ("grpc_api.enabled", None),
    ("grpc_api.port", None),
    ("uni_grpc.enabled", None),
    ("uni_grpc.port", None),
    ("shutdown.timeout", None),
];

/// The flags, `--config` first.
pub(super) fn arguments() -> Vec<Arg> {
    let config = Arg::new(CONFIG)
        .short('c')
        .long(CONFIG)
        .value_name("FILE")
        .default_value("config.json")
        .help("Configuration file: .json, .yaml, .yml or .toml; empty for none");
    let flags = FLAGS
        .into_iter()
        .filter_map(|(key, short)| Some(argument(key, short, option(key)?)));
    std::iter::once(config).chain(flags).collect()
}

/// Keys and values of the flags that were given, as text: types are looked at together with all other layers.
pub(super) fn given(matches: &ArgMatches) -> Vec<(String, String)> {
    let value = |key| Some((String::from(key), matches.get_one::<String>(key)?.clone()));
    FLAGS.into_iter().filter_map(|(key, _)| value(key)).collect()
}

pub(super) const CONFIG: &str = "config";

fn argument(key: &'static str, short: Option<char>, field: &'static Field) -> Arg {
    let text = field.summary();
    let default = if field.default.is_empty() {
        String::new()
    } else {
        format!(" [default: {}]", field.default)
    };
    let first = text
        .split_once(". ")
        .map_or(text.as_str(), |(first, _)| first)
        .trim_end_matches('.');
    let argument = Arg::new(key)
        .long(key)
        .help(format!("{first}{default}"))
        .long_help(format!("{text}{default}"))
        .action(ArgAction::Set)
        .hide(field.status != Status::Supported)
        .help_heading("Options of the server");
    let argument = match short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match field.kind {
        // `--x` and `--x=false`, but not `--x false`: that would be the name of a command.
        Kind::Bool => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL"),
        Kind::Int => argument.value_name("INT").allow_negative_numbers(true),
        Kind::Duration => argument.value_name("DURATION").allow_hyphen_values(true),
        Kind::TextList => argument.value_name("TEXTS"),
        _ => argument.value_name("TEXT"),
    }
}
