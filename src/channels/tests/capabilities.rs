//! Capabilities of connections and subscriptions (channels-and-auth.md 3.9, 7.1).

use std::time::Duration;

use super::*;

fn capability(channels: &[&str], kind: &str, allow: &[&str]) -> Option<Capability> {
    let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
    Capability::new(channels, kind, Operations::from_names(allow.iter().copied()))
}

/// Capabilities of one entry.
fn capabilities(channels: &[&str], kind: &str, allow: &[&str]) -> Capabilities {
    Capabilities::new(capability(channels, kind, allow)).expect("a capability")
}

fn subscribe(rules: &ChannelRules, channel: &str, of: &Capabilities) -> Result<String, Denial> {
    let query = SubscribeQuery {
        channel,
        user: "",
        has_token: false,
        subscription_type: 0,
        capabilities: Some(of),
    };
    rules
        .subscribe(query)
        .map(|decision| format!("{:?}", decision.route))
}

fn granted(source: Source) -> Result<String, Denial> {
    Ok(format!("{:?}", Route::Granted(source)))
}

const DENIED: Result<String, Denial> = Err(Denial::NotPermitted(Operation::Subscribe));

#[test]
fn every_kind_of_match() {
    let rules = rules(Namespace::default());
    for (kind, pattern, channel, expected) in [
        ("", "ns:a", "ns:a", true),
        ("", "ns:*", "ns:a", false),
        ("wildcard", "ns:*", "ns:a/b", true),
        ("wildcard", "ns:?", "ns:a", true),
        ("wildcard", "ns:?", "ns:ab", false),
        ("doublestar", "ns:a/*", "ns:a/b", true),
        ("doublestar", "ns:a/*", "ns:a/b/c", false),
        ("doublestar", "ns:a/**", "ns:a/b/c", true),
        ("regex", "a[0-9]", "ns:a1b", true),
        ("regex", "^a[0-9]", "ns:a1b", false),
        ("regex", "(", "ns:(", false),
    ] {
        let result = subscribe(&rules, channel, &capabilities(&[pattern], kind, &["sub"]));
        let source = if expected {
            granted(Source::ConnectionCapability)
        } else {
            DENIED
        };
        assert_eq!(result, source, "{kind} {pattern} {channel}");
    }
    for of in [
        capability(&["a"], "glob", &["sub"]),
        capability(&["a"], "", &["fly"]),
        capability(&[], "", &["sub"]),
        capability(&["a"], "", &[]),
    ] {
        assert_eq!(of, None);
    }
    assert_eq!(Capabilities::new([]), None);
}

#[test]
fn any_capability_grants_whatever_the_order() {
    let rules = rules(Namespace::default());
    let read = capability(&["ns:a", "ns:b"], "", &["hst", "prs"]).expect("capability");
    let broken = capability(&["("], "regex", &["sub", "pub"]).expect("capability");
    let write = capability(&["ns:a*"], "wildcard", &["pub", "sub"]).expect("capability");
    let both = [
        Capabilities::new([read.clone(), broken.clone(), write.clone()]),
        Capabilities::new([write, broken, read]),
    ];
    for of in both.into_iter().flatten() {
        assert_eq!(
            subscribe(&rules, "ns:a", &of),
            granted(Source::ConnectionCapability)
        );
        assert_eq!(subscribe(&rules, "ns:b", &of), DENIED);
        let allowed = rules.readable("ns:a", Some(&of));
        assert_eq!(allowed, Operations::from_names(["hst", "prs"]));
        assert_eq!(rules.readable("ns:a2", Some(&of)), Operations::NONE);
    }
}

/// 3.2 with 3.9: after names, types, private channels and proxies; before `allow_subscribe_for_client`.
#[test]
fn where_capabilities_enter_a_subscribe() {
    let all = capabilities(&["*"], "wildcard", &["sub"]);
    let proxied = Namespace {
        subscribe_proxy: Some("sub".to_owned()),
        subscribe_access: EVERYONE,
        user_limited: true,
        ..Namespace::default()
    };
    let proxy = Ok(format!("{:?}", Route::Proxy("sub")));
    for rules in [rules(proxied.clone()), insecure(proxied)] {
        assert_eq!(subscribe(&rules, "zz:a", &all), Err(Denial::UnknownNamespace));
        assert_eq!(subscribe(&rules, "ns:ü", &all), Err(Denial::InvalidName));
        assert_eq!(subscribe(&rules, "$ns:a", &all), Err(Denial::PrivateWithoutToken));
        assert_eq!(subscribe(&rules, "ns:a", &all), proxy, "a proxy decides alone");
        // Where the list decides, capabilities are asked about users who are not in it.
        assert_eq!(
            subscribe(&rules, "ns:a#1", &all),
            granted(Source::ConnectionCapability)
        );
    }
    let map = Namespace {
        subscription_type: SubscriptionType::Map,
        ..Namespace::default()
    };
    assert_eq!(subscribe(&rules(map), "ns:a", &all), Err(Denial::TypeMismatch));
    let open = Namespace {
        subscribe_access: EVERYONE,
        user_limited: true,
        ..Namespace::default()
    };
    let listed = SubscribeQuery {
        channel: "ns:a#1",
        user: "1",
        has_token: false,
        subscription_type: 0,
        capabilities: Some(&all),
    };
    let rules = insecure(open);
    assert_eq!(
        subscribe(&rules, "ns:a", &all),
        granted(Source::ConnectionCapability)
    );
    let decision = rules.subscribe(listed).expect("granted");
    assert_eq!(decision.route, Route::Granted(Source::UserLimited));
    let token = SubscribeQuery {
        has_token: true,
        ..listed
    };
    assert_eq!(rules.subscribe(token).expect("granted").route, Route::Token);
    // Another operation is no help, and the fallback stays the last.
    let publish = capabilities(&["*"], "wildcard", &["pub"]);
    assert_eq!(
        subscribe(&rules, "ns:a", &publish),
        granted(Source::ClientAllowed)
    );
    assert_eq!(subscribe(&rules, "a", &publish), granted(Source::Insecure));
}

#[test]
fn capabilities_are_not_asked_about_subs_of_the_connect_command() {
    let rules = rules(Namespace::default());
    assert!(
        rules
            .connect_sub("ns:a", "1")
            .is_ok_and(|granted| granted.is_none())
    );
}

#[test]
fn publishing_and_reading() {
    let rules = rules(Namespace {
        presence: true,
        history_size: 1,
        history_ttl: Duration::from_secs(1),
        ..Namespace::default()
    });
    let none = Operations::NONE;
    for (connection, subscription, expected) in [
        (&[][..], None, [false, false, false]),
        (&[], Some(none), [false, false, false]),
        (&["pub"], None, [true, false, false]),
        (&["prs"], None, [false, true, false]),
        (&["hst"], None, [false, false, true]),
        (&["sub"], Some(none), [false, false, false]),
        (
            &[],
            Some(Operations::from_names(["pub", "hst"])),
            [true, false, true],
        ),
        (
            &["pub"],
            Some(Operations::from_names(["prs"])),
            [true, true, false],
        ),
    ] {
        let held = Capabilities::new(capability(&["ns:a"], "", connection));
        let capabilities = held.as_ref();
        let read = ReadQuery {
            channel: "ns:a",
            user: "",
            subscription,
            capabilities,
        };
        let publish = PublishQuery {
            channel: "ns:a",
            user: "",
            subscription,
            capabilities,
            data: b"1",
        };
        let outcome = [
            rules.publish(publish).is_ok(),
            rules.presence(read).is_ok(),
            rules.history(read).is_ok(),
        ];
        assert_eq!(outcome, expected, "{connection:?} {subscription:?}");
    }
}

/// Data formats, publish proxies and availability come first.
#[test]
fn what_capabilities_do_not_overrule() {
    let all = capabilities(&["ns:a"], "", &["sub", "pub", "prs", "hst"]);
    let publish = |namespace: Namespace, data| {
        let rules = rules(namespace);
        let decision = rules.publish(PublishQuery {
            channel: "ns:a",
            user: "1",
            subscription: Some(Operations::from_names(["pub"])),
            capabilities: Some(&all),
            data,
        });
        decision.map(|decision| match decision {
            PublishDecision::Proxy(_, name) => name.to_owned(),
            PublishDecision::Stream(_) => "stream".to_owned(),
            PublishDecision::Granted(_) => "granted".to_owned(),
        })
    };
    let plain = Namespace::default;
    assert_eq!(publish(plain(), b"1").as_deref(), Ok("granted"));
    assert_eq!(publish(plain(), b""), Err(Denial::DataFormat));
    let proxied = Namespace {
        publish_proxy: Some("pub".to_owned()),
        ..plain()
    };
    assert_eq!(publish(proxied, b"1").as_deref(), Ok("pub"));
    let streamed = Namespace {
        subscribe_stream_proxy: stream_proxy(false),
        ..plain()
    };
    assert_eq!(publish(streamed, b"1"), Err(Denial::NotAvailable));
    let read = ReadQuery {
        channel: "ns:a",
        user: "1",
        subscription: None,
        capabilities: Some(&all),
    };
    let rules = rules(plain());
    assert_eq!(rules.presence(read).err(), Some(Denial::NotAvailable));
    assert_eq!(rules.history(read).err(), Some(Denial::NotAvailable));
}

/// Stage C: `hst` is history access, `prs` is presence access.
#[test]
fn wishes_may_rest_on_capabilities() {
    let rules = rules(Namespace {
        join_leave: true,
        ..Namespace::default()
    });
    let namespace = rules.resolve("ns:a").expect("namespace");
    let outcome = |source, capable: &[&str], allow: &[&str]| {
        let wishes = Wishes {
            positioned: true,
            recoverable: true,
            join_leave: true,
            capable: Operations::from_names(capable.iter().copied()),
        };
        let extras = SubscriptionExtras {
            allow: Operations::from_names(allow.iter().copied()),
            ..SubscriptionExtras::default()
        };
        let grant = rules.grant(namespace, source, "", wishes, extras);
        [grant.position, grant.recover, grant.push_join_leave]
    };
    use Source::{ConnectionCapability, SubscribeProxy, SubscriptionToken};
    assert_eq!(outcome(ConnectionCapability, &[], &[]), [false, false, false]);
    assert_eq!(outcome(ConnectionCapability, &["hst"], &[]), [true, true, false]);
    assert_eq!(outcome(ConnectionCapability, &["prs"], &[]), [false, false, true]);
    assert_eq!(
        outcome(SubscriptionToken, &[], &["hst", "prs"]),
        [true, true, true]
    );
    assert_eq!(outcome(SubscriptionToken, &["hst"], &["prs"]), [true, true, true]);
    assert_eq!(
        outcome(SubscribeProxy, &["hst", "prs"], &[]),
        [false, false, false]
    );
}
