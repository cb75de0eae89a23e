//! channels-and-auth.md 3.2 to 3.6, and the connect command's `subs` of section 6.

use std::time::Duration;

use regex::Regex;

use super::*;

fn subscribe(rules: &ChannelRules, channel: &str, user: &str) -> Result<String, Denial> {
    ask(
        rules,
        SubscribeQuery {
            channel,
            user,
            has_token: false,
            subscription_type: 0,
            capabilities: None,
        },
    )
}

fn subscribe_with_token(rules: &ChannelRules, channel: &str) -> Result<String, Denial> {
    ask(
        rules,
        SubscribeQuery {
            channel,
            user: "1",
            has_token: true,
            subscription_type: 0,
            capabilities: None,
        },
    )
}

fn ask(rules: &ChannelRules, query: SubscribeQuery<'_>) -> Result<String, Denial> {
    rules
        .subscribe(query)
        .map(|decision| format!("{:?}", decision.route))
}

fn granted(source: Source) -> Result<String, Denial> {
    Ok(format!("{:?}", Route::Granted(source)))
}

#[test]
fn unknown_namespaces_come_first() {
    let rules = insecure(Namespace::default());
    for channel in ["zz:a", "$zz:ü", "$$ns:a", "NS:a"] {
        assert_eq!(
            subscribe(&rules, channel, "1"),
            Err(Denial::UnknownNamespace),
            "{channel}"
        );
        assert_eq!(
            subscribe_with_token(&rules, channel),
            Err(Denial::UnknownNamespace),
            "{channel}"
        );
        assert_eq!(
            rules.connect_sub(channel, "1").err(),
            Some(UnknownNamespace),
            "{channel}"
        );
    }
    for channel in [":a", "$:a", "a", "$a", ""] {
        assert!(
            rules.resolve(channel).is_ok_and(|of| of.name.is_empty()),
            "{channel}"
        );
    }
    assert!(rules.resolve("$ns:a:b").is_ok_and(|of| of.name == "ns"));
}

#[test]
fn names() {
    let plain = rules(Namespace {
        subscribe_access: CLIENTS,
        ..Namespace::default()
    });
    assert_eq!(subscribe(&plain, "ns:ü", "1"), Err(Denial::InvalidName));
    assert_eq!(subscribe_with_token(&plain, "ns:ü"), Err(Denial::InvalidName));
    assert!(subscribe(&plain, "ns:*&/", "1").is_ok());
    let regex = Regex::new("^[a-zü]+$").ok();
    let rules = rules(Namespace {
        subscribe_access: CLIENTS,
        channel_regex: regex,
        ..Namespace::default()
    });
    for (channel, expected) in [
        ("ns:ü", true),
        ("$ns:a", true),
        ("ns:1", false),
        ("ns:ab:c", false),
    ] {
        let result = subscribe_with_token(&rules, channel);
        assert_eq!(
            result.err(),
            (!expected).then_some(Denial::InvalidName),
            "{channel}"
        );
    }
    // An expression looks for a match anywhere, in the whole name of a channel without a namespace.
    let default = Namespace {
        channel_regex: Regex::new("b").ok(),
        ..Namespace::default()
    };
    let rules = ChannelRules::new(NameSyntax::default(), None, true, default, []);
    assert!(subscribe_with_token(&rules, "$abc").is_ok());
    assert!(subscribe_with_token(&rules, "$acc").is_err());
}

#[test]
fn lengths_are_in_bytes() {
    let limited = rules(Namespace::default());
    assert_eq!(limited.check_length(&"a".repeat(255)), Ok(()));
    assert_eq!(limited.check_length(&"ü".repeat(128)), Err(Denial::NameTooLong));
    let unlimited = ChannelRules::new(NameSyntax::default(), None, false, Namespace::default(), []);
    assert_eq!(unlimited.check_length(&"a".repeat(100_000)), Ok(()));
}

#[test]
fn subscription_types() {
    let poll = Namespace {
        subscription_type: SubscriptionType::SharedPoll,
        ..Namespace::default()
    };
    let rules = insecure(poll);
    for (channel, number, expected) in [
        ("ns:a", 4, Ok(())),
        ("ns:a", 0, Err(Denial::InvalidType)),
        ("ns:a", 1, Err(Denial::InvalidType)),
        ("a", 4, Err(Denial::NotSharedPoll)),
        ("zz:a", 4, Err(Denial::NotSharedPoll)),
        ("zz:a", 0, Ok(())),
        ("a", 0, Ok(())),
        ("a", 3, Ok(())),
        ("a", 5, Ok(())),
        ("a", -1, Ok(())),
        ("ns:a", 5, Err(Denial::InvalidType)),
    ] {
        assert_eq!(rules.check_type(channel, number), expected, "{channel} {number}");
    }
    let map = insecure(Namespace {
        subscription_type: SubscriptionType::Map,
        ..Namespace::default()
    });
    for (channel, number, matches) in [
        ("ns:a", 1, true),
        ("ns:a", 0, false),
        ("a", 1, false),
        ("a", 0, true),
        ("a", 5, false),
        ("a", -1, false),
    ] {
        let query = SubscribeQuery {
            channel,
            user: "1",
            has_token: true,
            subscription_type: number,
            capabilities: None,
        };
        let expected = (!matches).then_some(Denial::TypeMismatch);
        assert_eq!(map.subscribe(query).err(), expected, "{channel} {number}");
    }
}

#[test]
fn private_channels_need_a_token() {
    let rules = insecure(Namespace {
        subscribe_access: EVERYONE,
        ..Namespace::default()
    });
    for channel in ["$ns:a", "$a"] {
        assert_eq!(subscribe(&rules, channel, "1"), Err(Denial::PrivateWithoutToken));
        assert_eq!(subscribe_with_token(&rules, channel).as_deref(), Ok("Token"));
        assert!(
            rules
                .connect_sub(channel, "1")
                .is_ok_and(|granted| granted.is_none())
        );
    }
    // Only subscribing is restricted.
    let read = ReadQuery {
        channel: "$ns:a",
        user: "1",
        subscription: None,
        capabilities: None,
    };
    assert_eq!(rules.presence(read).err(), Some(Denial::NotAvailable));
    let publish = PublishQuery {
        channel: "$ns:a",
        user: "1",
        subscription: None,
        capabilities: None,
        data: b"1",
    };
    assert!(rules.publish(publish).is_ok());
}

/// Steps 12 to 17: who decides, by what the namespace has switched on.
#[test]
fn routes_of_a_subscription() {
    struct Case {
        limited: bool,
        proxy: bool,
        stream: bool,
        access: Access,
        channel: &'static str,
        user: &'static str,
        secure: Result<String, Denial>,
        insecure: Result<String, Denial>,
    }
    let none = Access::default();
    let limited = granted(Source::UserLimited);
    let allowed = granted(Source::ClientAllowed);
    let fallback = granted(Source::Insecure);
    let denied: Result<String, _> = Err(Denial::NotPermitted(Operation::Subscribe));
    let proxy = Ok(format!("{:?}", Route::Proxy("sub")));
    let stream = Ok(format!("{:?}", Route::StreamProxy("stream")));
    let case =
        |limited, proxy, stream, access, channel, user, secure: &Result<_, _>, insecure: &Result<_, _>| {
            Case {
                limited,
                proxy,
                stream,
                access,
                channel,
                user,
                secure: secure.clone(),
                insecure: insecure.clone(),
            }
        };
    let cases = [
        // Nothing allowed.
        case(false, false, false, none, "ns:a", "1", &denied, &fallback),
        // The anonymous option alone grants nothing, to nobody.
        case(
            false,
            false,
            false,
            ANONYMOUS_ALONE,
            "ns:a",
            "",
            &denied,
            &fallback,
        ),
        case(
            false,
            false,
            false,
            ANONYMOUS_ALONE,
            "ns:a",
            "1",
            &denied,
            &fallback,
        ),
        case(false, false, false, CLIENTS, "ns:a", "1", &allowed, &allowed),
        case(false, false, false, CLIENTS, "ns:a", "", &denied, &fallback),
        case(false, false, false, EVERYONE, "ns:a", "", &allowed, &allowed),
        // Without the option `#` means nothing.
        case(false, false, false, none, "ns:a#1", "1", &denied, &fallback),
        case(false, false, false, CLIENTS, "ns:a#2", "1", &allowed, &allowed),
        // With it the name decides, whatever else is switched on.
        case(true, false, false, none, "ns:a#1,2", "2", &limited, &limited),
        case(true, false, false, EVERYONE, "ns:a#1,2", "3", &denied, &fallback),
        case(true, true, true, EVERYONE, "ns:a#1", "1", &limited, &limited),
        case(true, true, true, EVERYONE, "ns:a#1", "2", &denied, &fallback),
        case(true, false, false, EVERYONE, "ns:a#", "", &denied, &fallback),
        case(true, false, false, EVERYONE, "ns:a#1#2", "1", &denied, &fallback),
        case(true, false, false, CLIENTS, "ns:a", "1", &allowed, &allowed),
        // Proxies come before permissions.
        case(false, true, false, EVERYONE, "ns:a", "1", &proxy, &proxy),
        case(true, true, true, EVERYONE, "ns:a", "", &proxy, &proxy),
        case(false, false, true, EVERYONE, "ns:a", "1", &stream, &stream),
        case(true, true, false, none, "ns:a", "1", &proxy, &proxy),
    ];
    for (index, case) in cases.into_iter().enumerate() {
        let namespace = Namespace {
            user_limited: case.limited,
            subscribe_proxy: case.proxy.then(|| "sub".to_owned()),
            subscribe_stream_proxy: if case.stream { stream_proxy(false) } else { None },
            subscribe_access: case.access,
            ..Namespace::default()
        };
        let secure = rules(namespace.clone());
        assert_eq!(
            subscribe(&secure, case.channel, case.user),
            case.secure,
            "case {index}"
        );
        assert_eq!(
            subscribe_with_token(&secure, case.channel).as_deref(),
            Ok("Token"),
            "case {index}"
        );
        assert_eq!(
            subscribe(&insecure(namespace), case.channel, case.user),
            case.insecure,
            "case {index}"
        );
    }
}

#[test]
fn subs_of_the_connect_command() {
    let granted = |rules: &ChannelRules, channel: &str, user: &str| {
        rules
            .connect_sub(channel, user)
            .expect("known namespace")
            .is_some()
    };
    let open = Namespace {
        subscribe_access: CLIENTS,
        user_limited: true,
        ..Namespace::default()
    };
    let secure = rules(open.clone());
    for (channel, user, expected) in [
        ("ns:a", "1", true),
        ("ns:a", "", false),
        ("ns:a#88", "88", true),
        ("ns:a#88", "1", false),
        ("ns:a#", "", false),
        ("ns:ü", "1", false),
        ("$ns:a", "1", false),
        ("a", "1", false),
    ] {
        assert_eq!(granted(&secure, channel, user), expected, "{channel} {user}");
    }
    let fallback = insecure(open.clone());
    for (channel, user, expected) in [
        ("ns:a#88", "1", true),
        ("a", "", true),
        ("$ns:a", "1", false),
        ("ns:ü", "1", false),
    ] {
        assert_eq!(granted(&fallback, channel, user), expected, "{channel} {user}");
    }
    let proxied = Namespace {
        subscribe_proxy: Some("sub".to_owned()),
        ..open
    };
    assert!(!granted(&insecure(proxied.clone()), "ns:a", "1"));
    assert!(!granted(&rules(proxied), "ns:a#1", "1"));
}

#[test]
fn publishing() {
    let publish = |rules: &ChannelRules, channel: &str, user: &str, subscribed: bool, data: &[u8]| {
        let decision = rules.publish(PublishQuery {
            channel,
            user,
            subscription: subscribed.then(Operations::default),
            capabilities: None,
            data,
        });
        decision.map(|decision| match decision {
            PublishDecision::Proxy(_, name) => name.to_owned(),
            PublishDecision::Stream(_) => "stream".to_owned(),
            PublishDecision::Granted(_) => "granted".to_owned(),
        })
    };
    let denied = Err(Denial::NotPermitted(Operation::Publish));
    let granted = Ok("granted".to_owned());
    for (access, user, subscribed, expected) in [
        (CLIENTS, "1", false, &granted),
        (CLIENTS, "", true, &denied),
        (EVERYONE, "", false, &granted),
        (ANONYMOUS_ALONE, "", true, &denied),
        (ANONYMOUS_ALONE, "1", true, &denied),
        (SUBSCRIBERS, "1", true, &granted),
        (SUBSCRIBERS, "1", false, &denied),
        (SUBSCRIBERS, "", true, &denied),
        (
            Access {
                anonymous: true,
                ..SUBSCRIBERS
            },
            "",
            true,
            &granted,
        ),
        (Access::default(), "1", true, &denied),
    ] {
        let namespace = Namespace {
            publish_access: access,
            ..Namespace::default()
        };
        let secure = rules(namespace.clone());
        assert_eq!(
            publish(&secure, "ns:a", user, subscribed, b"1"),
            *expected,
            "{access:?} {user}"
        );
        assert_eq!(
            publish(&insecure(namespace), "ns:a", user, subscribed, b"1"),
            granted
        );
    }
    let json = Namespace {
        data_format: DataFormat::Json,
        publish_proxy: Some("pub".to_owned()),
        ..Namespace::default()
    };
    let rules = insecure(json.clone());
    assert_eq!(publish(&rules, "ns:a", "", false, b"{}").as_deref(), Ok("pub"));
    assert_eq!(
        publish(&rules, "ns:a", "", false, b"{"),
        Err(Denial::DataFormat),
        "before the proxy"
    );
    assert_eq!(publish(&rules, "ns:ü", "", false, b"{"), Err(Denial::InvalidName));
    assert_eq!(
        publish(&rules, "zz:ü", "", false, b"{"),
        Err(Denial::UnknownNamespace)
    );
    assert_eq!(
        publish(&rules, "a", "", false, b""),
        Err(Denial::DataFormat),
        "empty by default"
    );
    assert_eq!(
        publish(&rules, &"a".repeat(1000), "", false, b"1"),
        granted,
        "no length check"
    );
    let both = Namespace {
        subscribe_stream_proxy: stream_proxy(true),
        ..json.clone()
    };
    assert_eq!(
        publish(&insecure(both), "ns:a", "", false, b"{}").as_deref(),
        Ok("pub")
    );
    let streamed = |bidirectional| Namespace {
        publish_proxy: None,
        subscribe_stream_proxy: stream_proxy(bidirectional),
        ..json.clone()
    };
    assert_eq!(
        publish(&insecure(streamed(true)), "ns:a", "", false, b"{}").as_deref(),
        Ok("stream")
    );
    assert_eq!(
        publish(&insecure(streamed(false)), "ns:a", "", false, b"{}"),
        Err(Denial::NotAvailable)
    );
}

#[test]
fn reading_presence_and_history() {
    let available = Namespace {
        presence: true,
        history_size: 1,
        history_ttl: Duration::from_secs(1),
        ..Namespace::default()
    };
    for (access, user, subscribed, expected) in [
        (CLIENTS, "1", false, true),
        (CLIENTS, "", true, false),
        (EVERYONE, "", false, true),
        (ANONYMOUS_ALONE, "1", true, false),
        (SUBSCRIBERS, "1", true, true),
        (SUBSCRIBERS, "1", false, false),
        (SUBSCRIBERS, "", true, false),
        (
            Access {
                anonymous: true,
                ..SUBSCRIBERS
            },
            "",
            true,
            true,
        ),
        (Access::default(), "1", true, false),
    ] {
        let namespace = Namespace {
            presence_access: access,
            history_access: access,
            ..available.clone()
        };
        let read = ReadQuery {
            channel: "ns:a",
            user,
            subscription: subscribed.then(Operations::default),
            capabilities: None,
        };
        let denial = |operation| (!expected).then_some(Denial::NotPermitted(operation));
        let secure = rules(namespace.clone());
        assert_eq!(
            secure.presence(read).err(),
            denial(Operation::Presence),
            "{access:?} {user} {subscribed}"
        );
        assert_eq!(
            secure.history(read).err(),
            denial(Operation::History),
            "{access:?} {user} {subscribed}"
        );
        let insecure = insecure(namespace);
        assert!(insecure.presence(read).is_ok() && insecure.history(read).is_ok());
    }
    // Each operation looks at its own options.
    let presence = rules(Namespace {
        presence_access: CLIENTS,
        ..available.clone()
    });
    let read = ReadQuery {
        channel: "ns:a",
        user: "1",
        subscription: None,
        capabilities: None,
    };
    assert!(presence.presence(read).is_ok() && presence.history(read).is_err());
    // Availability comes before permission, the name before availability.
    for namespace in [
        Namespace {
            presence: false,
            history_size: 0,
            ..available.clone()
        },
        Namespace {
            presence: false,
            history_ttl: Duration::ZERO,
            ..available
        },
    ] {
        for rules in [rules(namespace.clone()), insecure(namespace)] {
            assert_eq!(rules.presence(read).err(), Some(Denial::NotAvailable));
            assert_eq!(rules.history(read).err(), Some(Denial::NotAvailable));
            let bad_name = ReadQuery {
                channel: "ns:ü",
                ..read
            };
            assert_eq!(rules.presence(bad_name).err(), Some(Denial::InvalidName));
            let unknown = ReadQuery {
                channel: "zz:ü",
                ..read
            };
            assert_eq!(rules.history(unknown).err(), Some(Denial::UnknownNamespace));
        }
    }
}

#[test]
fn codes() {
    use Denial::*;
    for (denial, code) in [
        (UnknownNamespace, 102),
        (TypeMismatch, 103),
        (PrivateWithoutToken, 103),
        (NotPermitted(Operation::Subscribe), 103),
        (InvalidName, 107),
        (NameTooLong, 107),
        (InvalidType, 107),
        (DataFormat, 107),
        (NotSharedPoll, 108),
        (NotAvailable, 108),
    ] {
        assert_eq!(denial.code(), code, "{denial}");
    }
}
