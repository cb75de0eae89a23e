//! No name panics, and no name passes for another.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_name_panics(channel in r"[$:#,a\p{Any}]{0,16}", user in "[a1,#]{0,3}", limited: bool, has_token: bool) {
        let namespace = Namespace { user_limited: limited, subscribe_access: CLIENTS, ..Namespace::default() };
        let rules = rules(namespace);
        let query = SubscribeQuery { channel: &channel, user: &user, has_token, subscription_type: 0, capabilities: None };
        let decision = rules.subscribe(query).map(|decision| decision.route);
        let _ = rules.connect_sub(&channel, &user);
        prop_assert!(!channel.starts_with('$') || has_token || decision.is_err());
    }

    #[test]
    fn only_listed_users_enter(users in prop::collection::vec("[a-c]{1,2}", 0..4), user in "[a-c]{0,2}") {
        let rules = rules(Namespace { user_limited: true, subscribe_access: EVERYONE, ..Namespace::default() });
        let channel = format!("ns:a#{}", users.join(","));
        let query = SubscribeQuery { channel: &channel, user: &user, has_token: false, subscription_type: 0, capabilities: None };
        prop_assert_eq!(rules.subscribe(query).is_ok(), users.contains(&user));
    }

    #[test]
    fn a_personal_channel_belongs_to_its_user(user in "[a-z0-9]{1,8}", other in "[a-z0-9]{1,8}") {
        let rules = rules(Namespace { user_limited: true, ..Namespace::default() });
        let channel = rules.syntax().personal_channel("ns", &user);
        let granted = rules.connect_sub(&channel, &other).expect("namespace");
        prop_assert_eq!(granted.is_some(), user == other);
    }
}
