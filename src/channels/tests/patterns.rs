//! Channel patterns (channels-and-auth.md 7.6).

use proptest::prelude::*;

use super::*;
use crate::config::{self, ChannelOptions, ChannelPattern, Channels};

/// Rules whose namespaces have these patterns and are named by them.
fn by_patterns(patterns: &[&str]) -> ChannelRules {
    let namespaces = patterns.iter().map(|pattern| {
        let namespace = Namespace {
            name: (*pattern).to_owned(),
            ..Namespace::default()
        };
        (ChannelPattern::parse(pattern).expect(pattern), namespace)
    });
    rules(Namespace::default()).with_patterns(namespaces.collect::<Vec<_>>())
}

fn found<'r>(rules: &'r ChannelRules, channel: &str) -> Option<&'r str> {
    rules
        .resolve(channel)
        .ok()
        .map(|namespace| namespace.name.as_str())
}

#[test]
fn a_channel_belongs_to_the_pattern_that_is_fixed_first() {
    let rules = by_patterns(&[
        "/",
        "/users/:name",
        "/users/admin",
        "/users/admin_:id",
        "/users/a:rest",
        "/users/:name/posts/:post",
        "/events/:project/:type",
        "/events/42/:type/x",
        "/a/",
    ]);
    for (channel, expected) in [
        ("/", Some("/")),
        ("/users/mario", Some("/users/:name")),
        ("/users/admin", Some("/users/admin")),
        ("/users/admin_", Some("/users/a:rest")),
        ("/users/admin_1", Some("/users/admin_:id")),
        ("/users/a", Some("/users/:name")),
        ("/users/alice", Some("/users/a:rest")),
        ("/users/", None),
        ("/users", None),
        ("/users/mario/posts/1", Some("/users/:name/posts/:post")),
        ("/users/admin/posts/1", Some("/users/:name/posts/:post")),
        ("/users/mario/posts/", None),
        ("/users/mario/posts/1/", None),
        ("/events/42/news", Some("/events/:project/:type")),
        ("/events/42/news/x", Some("/events/42/:type/x")),
        ("/events/43/news/x", None),
        ("/a/", Some("/a/")),
        ("/a", None),
        ("//", None),
        // The name of the namespace plays no part, nor do boundaries.
        ("/users/ns:a", Some("/users/:name")),
        ("/users/ü#1,2", Some("/users/:name")),
        // Other channels are what they were.
        ("ns:a", Some("ns")),
        ("a/users/mario", Some("")),
        ("users/mario", Some("")),
        ("$/users/mario", Some("")),
    ] {
        assert_eq!(found(&rules, channel), expected, "{channel}");
    }
}

#[test]
fn without_the_option_a_slash_is_a_letter() {
    let rules = rules(Namespace::default());
    assert_eq!(found(&rules, "/users/mario"), Some(""));
    assert_eq!(found(&rules, "/zz:a"), None);
    let none = by_patterns(&[]);
    assert_eq!(found(&none, "/users/mario"), None);
}

fn configured(options: ChannelOptions) -> ChannelRules {
    let namespace = config::Namespace {
        name: "users_name".to_owned(),
        options: ChannelOptions {
            pattern: "/users/:name".to_owned(),
            ..options
        },
    };
    let channels = Channels {
        patterns: true,
        namespaces: vec![namespace],
        ..Channels::default()
    };
    ChannelRules::from_config(&channels, false).expect("rules")
}

fn subscribe(rules: &ChannelRules, channel: &str, user: &str) -> Result<String, Denial> {
    let query = SubscribeQuery {
        channel,
        user,
        has_token: false,
        subscription_type: 0,
        capabilities: None,
    };
    rules
        .subscribe(query)
        .map(|decision| format!("{:?}", decision.route))
}

#[test]
fn other_rules_apply_to_the_whole_name() {
    let limited = configured(ChannelOptions {
        allow_user_limited_channels: true,
        channel_regex: "^/users/[a-z]+(#[0-9,]+)?$".to_owned(),
        ..ChannelOptions::default()
    });
    let granted = Ok(format!("{:?}", Route::Granted(Source::UserLimited)));
    assert_eq!(subscribe(&limited, "/users/mario#1,2", "2"), granted);
    assert_eq!(
        subscribe(&limited, "/users/mario#1,2", "3"),
        Err(Denial::NotPermitted(Operation::Subscribe))
    );
    assert_eq!(
        subscribe(&limited, "/users/Mario#1,2", "1"),
        Err(Denial::InvalidName)
    );
    assert_eq!(subscribe(&limited, "/users", "1"), Err(Denial::UnknownNamespace));
    // A namespace with a pattern has no channels by its name.
    assert_eq!(
        subscribe(&limited, "users_name:mario", "1"),
        Err(Denial::UnknownNamespace)
    );
    assert!(
        limited
            .connect_sub("/users/mario#1", "1")
            .is_ok_and(|of| of.is_some())
    );
    assert!(
        limited
            .connect_sub("/users/1#1", "1")
            .is_ok_and(|of| of.is_none())
    );
    assert_eq!(limited.connect_sub("/users", "1").err(), Some(UnknownNamespace));

    let open = configured(ChannelOptions {
        allow_subscribe_for_client: true,
        ..ChannelOptions::default()
    });
    assert!(subscribe(&open, "/users/mario", "1").is_ok());
    assert_eq!(subscribe(&open, "/users/ü", "1"), Err(Denial::InvalidName));
    // A prefix that is no slash hides the pattern.
    assert_eq!(
        subscribe(&open, "$/users/mario", "1"),
        Err(Denial::PrivateWithoutToken)
    );
}

/// A fixed character, or a variable; the order is that of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Position {
    Fixed(char),
    Variable,
}

/// What a pattern says, position by position.
fn positions(pattern: &str) -> Vec<Position> {
    let mut positions = Vec::new();
    let mut in_variable = false;
    for char in pattern.chars() {
        in_variable &= char != '/';
        if char == ':' {
            in_variable = true;
            positions.push(Position::Variable);
        } else if !in_variable {
            positions.push(Position::Fixed(char));
        }
    }
    positions
}

fn matches(positions: &[Position], channel: &str) -> bool {
    match positions {
        [] => channel.is_empty(),
        [Position::Fixed(char), rest @ ..] => channel
            .strip_prefix(*char)
            .is_some_and(|channel| matches(rest, channel)),
        [Position::Variable, rest @ ..] => {
            let end = channel.find('/').unwrap_or(channel.len());
            end > 0 && matches(rest, &channel[end..])
        }
    }
}

proptest! {
    #[test]
    fn the_tree_finds_what_comparing_all_patterns_finds(
        patterns in prop::collection::vec("(/[ab]{0,2}(:v)?){1,4}", 0..12),
        channels in prop::collection::vec("(/[ab]{0,3}){1,5}", 1..20),
    ) {
        // Variables of one pattern need names of their own; empty segments are for the end.
        let mut known = std::collections::BTreeMap::new();
        for pattern in &patterns {
            let numbered: String = pattern
                .split_inclusive(":v")
                .enumerate()
                .map(|(index, part)| if part.ends_with(":v") { format!("{part}{index}") } else { part.to_owned() })
                .collect();
            if ChannelPattern::parse(&numbered).is_ok() {
                known.entry(positions(&numbered)).or_insert(numbered);
            }
        }
        let all: Vec<&str> = known.values().map(String::as_str).collect();
        let rules = by_patterns(&all);
        for channel in &channels {
            let best = known.iter().find(|(positions, _)| matches(positions, channel));
            prop_assert_eq!(found(&rules, channel), best.map(|(_, pattern)| pattern.as_str()), "{}", channel);
        }
    }

    #[test]
    fn no_pattern_and_no_name_panics(pattern in r"/?[/:*a\p{Any}]{0,12}", channel in r"/?[/:a\p{Any}]{0,12}") {
        if ChannelPattern::parse(&pattern).is_ok() {
            let _ = by_patterns(&[&pattern]).resolve(&channel);
        }
    }
}
