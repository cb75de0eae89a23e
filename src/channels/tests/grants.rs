//! channels-and-auth.md 3.2 stage C: namespace options, overrides and wishes by grant path.

use super::*;

const ALL_WISHES: Wishes = Wishes {
    positioned: true,
    recoverable: true,
    join_leave: true,
    capable: Operations::NONE,
};
const SOURCES: [Source; 13] = [
    Source::ConnectionToken,
    Source::ConnectProxy,
    Source::SubscriptionToken,
    Source::SubscribeProxy,
    Source::UserLimited,
    Source::ClientAllowed,
    Source::Insecure,
    Source::ConnectCommand,
    Source::Personal,
    Source::ServerApi,
    Source::ConnectionCapability,
    Source::StreamProxy,
    Source::SubscriptionToken,
];

fn grant(namespace: Namespace, source: Source, wishes: Wishes) -> SubscriptionGrant {
    granted(namespace, source, wishes, SubscriptionExtras::default())
}

fn granted(
    namespace: Namespace,
    source: Source,
    wishes: Wishes,
    extras: SubscriptionExtras,
) -> SubscriptionGrant {
    let rules = rules(namespace);
    let namespace = rules.resolve("ns:a").expect("namespace");
    rules.grant(namespace, source, "1", wishes, extras)
}

/// presence, join_leave, push_join_leave, position, recover
fn flags(grant: &SubscriptionGrant) -> [bool; 5] {
    [
        grant.presence,
        grant.join_leave,
        grant.push_join_leave,
        grant.position,
        grant.recover,
    ]
}

fn forced() -> Namespace {
    Namespace {
        presence: true,
        join_leave: true,
        force_push_join_leave: true,
        force_positioning: true,
        force_recovery: true,
        recovery_mode: RecoveryMode::Cache,
        auto_cache_recover: true,
        allows_fossil: true,
        allow_tags_filter: true,
        ..Namespace::default()
    }
}

fn on_request() -> Namespace {
    Namespace {
        join_leave: true,
        allow_positioning: true,
        allow_recovery: true,
        presence_access: SUBSCRIBERS,
        ..Namespace::default()
    }
}

#[test]
fn numbers() {
    let numbers: Vec<u8> = SOURCES.iter().map(|source| source.number()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 3]);
    for source in SOURCES {
        let expected = matches!(source.number(), 1 | 2 | 8 | 9 | 10);
        assert_eq!(source.is_server_side(), expected, "{source:?}");
    }
}

#[test]
fn force_options_apply_on_every_path() {
    for source in SOURCES {
        let grant = grant(forced(), source, Wishes::default());
        let expected = match source {
            Source::StreamProxy => [true, true, true, false, false],
            _ => [true; 5],
        };
        assert_eq!(flags(&grant), expected, "{source:?}");
        let is_tuned = !matches!(source, Source::StreamProxy | Source::ServerApi);
        assert_eq!(
            (grant.delta, grant.tags_filter),
            (is_tuned, is_tuned),
            "{source:?}"
        );
        assert_eq!(grant.auto_recover, is_tuned, "{source:?}");
        assert_eq!(grant.recovery_mode == RecoveryMode::Cache, is_tuned, "{source:?}");
    }
}

#[test]
fn wishes_count_where_the_client_asks_for_itself() {
    for source in SOURCES {
        let expected = match source.number() {
            3 | 5 | 6 | 7 | 11 => [false, true, true, true, true],
            _ => [false, true, false, false, false],
        };
        assert_eq!(
            flags(&grant(on_request(), source, ALL_WISHES)),
            expected,
            "{source:?}"
        );
        let unasked = grant(on_request(), source, Wishes::default());
        assert_eq!(flags(&unasked), [false, true, false, false, false], "{source:?}");
    }
}

#[test]
fn wishes_need_permission() {
    let source = Source::ClientAllowed;
    let refused = [false, false, false, false, false];
    assert_eq!(flags(&grant(Namespace::default(), source, ALL_WISHES)), refused);
    // History access stands in for both options, even without history.
    let history = Namespace {
        history_access: SUBSCRIBERS,
        ..Namespace::default()
    };
    assert_eq!(
        flags(&grant(history, source, ALL_WISHES)),
        [false, false, false, true, true]
    );
    let anonymous = Namespace {
        history_access: ANONYMOUS_ALONE,
        ..Namespace::default()
    };
    assert_eq!(flags(&grant(anonymous, source, ALL_WISHES)), refused);
    // Positioning alone; recovery implies it.
    let positioning = Namespace {
        allow_positioning: true,
        ..Namespace::default()
    };
    assert_eq!(
        flags(&grant(positioning, source, ALL_WISHES)),
        [false, false, false, true, false]
    );
    let recovery = Namespace {
        allow_recovery: true,
        ..Namespace::default()
    };
    assert_eq!(
        flags(&grant(recovery, source, ALL_WISHES)),
        [false, false, false, true, true]
    );
    // Join and leave need the option and presence access, not presence itself.
    let no_access = Namespace {
        join_leave: true,
        ..Namespace::default()
    };
    assert_eq!(
        flags(&grant(no_access, source, ALL_WISHES)),
        [false, true, false, false, false]
    );
    let no_option = Namespace {
        presence_access: CLIENTS,
        ..Namespace::default()
    };
    assert_eq!(flags(&grant(no_option, source, ALL_WISHES)), refused);
    let both = Namespace {
        join_leave: true,
        presence_access: CLIENTS,
        ..Namespace::default()
    };
    assert_eq!(
        flags(&grant(both, source, ALL_WISHES)),
        [false, true, true, false, false]
    );
}

#[test]
fn insecure_mode_grants_every_access() {
    let rules = insecure(Namespace {
        join_leave: true,
        ..Namespace::default()
    });
    let namespace = rules.resolve("ns:a").expect("namespace");
    let grant = rules.grant(
        namespace,
        Source::Insecure,
        "",
        ALL_WISHES,
        SubscriptionExtras::default(),
    );
    assert_eq!(flags(&grant), [false, true, true, true, true]);
}

#[test]
fn overrides_replace_what_the_namespace_says() {
    let overrides = |value| Overrides {
        presence: Some(value),
        join_leave: Some(value),
        force_push_join_leave: Some(value),
        force_positioning: Some(value),
        force_recovery: Some(value),
    };
    let extras = |value| SubscriptionExtras {
        overrides: overrides(value),
        ..SubscriptionExtras::default()
    };
    for source in SOURCES {
        let on = granted(Namespace::default(), source, Wishes::default(), extras(true));
        let expected = match source {
            Source::StreamProxy => [true, true, true, false, false],
            _ => [true; 5],
        };
        assert_eq!(flags(&on), expected, "{source:?}");
        let off = granted(forced(), source, Wishes::default(), extras(false));
        assert_eq!(flags(&off), [false; 5], "{source:?}");
        assert!(!off.auto_recover, "{source:?}");
    }
    // Recovery without a position is impossible.
    let only_position_off = Overrides {
        force_positioning: Some(false),
        ..Overrides::default()
    };
    let extras = SubscriptionExtras {
        overrides: only_position_off,
        ..SubscriptionExtras::default()
    };
    let grant = granted(forced(), Source::SubscriptionToken, Wishes::default(), extras);
    assert!(grant.position && grant.recover);
}

#[test]
fn automatic_recovery_needs_cache_mode() {
    let cache = Namespace {
        auto_cache_recover: false,
        ..forced()
    };
    let extras = SubscriptionExtras {
        cache_recover: true,
        ..SubscriptionExtras::default()
    };
    assert!(
        granted(
            cache.clone(),
            Source::ConnectProxy,
            Wishes::default(),
            extras.clone()
        )
        .auto_recover
    );
    assert!(!grant(cache.clone(), Source::ConnectProxy, Wishes::default()).auto_recover);
    let stream = Namespace {
        recovery_mode: RecoveryMode::Stream,
        ..cache
    };
    assert!(!granted(stream, Source::ConnectProxy, Wishes::default(), extras).auto_recover);
}

#[test]
fn expiry() {
    for (expire_at, expired) in [(0, false), (-5, false), (100, true), (99, true), (101, false)] {
        let extras = SubscriptionExtras {
            expire_at,
            ..SubscriptionExtras::default()
        };
        let grant = granted(
            Namespace::default(),
            Source::SubscriptionToken,
            Wishes::default(),
            extras,
        );
        assert_eq!(grant.is_expired(100), expired, "{expire_at}");
    }
}
