//! From `channel.*` as it is written to rules that can be asked.
//!
//! The configuration has been validated by then; what can still fail here is what has to be compiled or read to
//! be used. Proxies have a place in the rules and none in the configuration of this version, which refuses them.

use regex::Regex;

use super::format::DataFormat;
use super::name::NameSyntax;
use super::options::{Access, Batching, Namespace, SubscriptionType};
use super::rules::ChannelRules;
use crate::config::{self, ChannelOptions, ChannelPattern, Channels, DeltaType, PublicationDataFormat};

/// Options of channels that cannot be used. The fault is the operator's; the texts are those of
/// channels-and-auth.md 2.6.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InvalidChannels {
    /// An expression that does not compile.
    #[error("{place}: invalid channel regex {pattern}: {error}")]
    Regex {
        /// `namespace <name>` or `in channel.without_namespace`.
        place: String,
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        error: regex::Error,
    },
    /// A channel pattern that is none.
    #[error("namespace {namespace}: {problem}")]
    Pattern {
        /// The name of the namespace.
        namespace: String,
        /// What is wrong with the pattern.
        problem: String,
    },
}

impl ChannelRules {
    /// The rules that `channel` describes; `insecure` is `client.insecure`.
    ///
    /// # Errors
    ///
    /// A `channel_regex` that does not compile, or a `pattern` that cannot be read.
    pub fn from_config(channels: &Channels, insecure: bool) -> Result<Self, InvalidChannels> {
        let syntax = NameSyntax {
            private_prefix: channels.private_prefix.clone(),
            namespace_boundary: channels.namespace_boundary.clone(),
            user_boundary: channels.user_boundary.clone(),
            user_separator: channels.user_separator.clone(),
        };
        let without = namespace("", &channels.without_namespace, channels)?;
        let (mut named, mut by_pattern) = (Vec::new(), Vec::new());
        for config::Namespace { name, options } in &channels.namespaces {
            let namespace = namespace(name, options, channels)?;
            if options.pattern.is_empty() {
                named.push(namespace);
            } else {
                let pattern = ChannelPattern::parse(&options.pattern);
                let pattern = pattern.map_err(|error| InvalidChannels::Pattern {
                    namespace: name.clone(),
                    problem: error.to_string(),
                })?;
                by_pattern.push((pattern, namespace));
            }
        }
        let rules = Self::new(syntax, channels.max_length, insecure, without, named);
        Ok(if channels.patterns {
            rules.with_patterns(by_pattern)
        } else {
            rules
        })
    }
}

fn namespace(
    name: &str,
    options: &ChannelOptions,
    channels: &Channels,
) -> Result<Namespace, InvalidChannels> {
    Ok(Namespace {
        name: name.to_owned(),
        presence: options.presence,
        join_leave: options.join_leave,
        force_push_join_leave: options.force_push_join_leave,
        history_size: options.history_size,
        history_ttl: options.history_ttl,
        history_meta_ttl: options.history_meta_ttl.unwrap_or(channels.history_meta_ttl),
        force_positioning: options.force_positioning,
        allow_positioning: options.allow_positioning,
        force_recovery: options.force_recovery,
        allow_recovery: options.allow_recovery,
        recovery_mode: options.force_recovery_mode,
        auto_cache_recover: options.auto_cache_recover,
        allow_channel_compaction: options.allow_channel_compaction,
        allows_fossil: options.allowed_delta_types.contains(&DeltaType::Fossil),
        delta_publish: options.delta_publish,
        keep_latest_publication: options.keep_latest_publication,
        allow_tags_filter: options.allow_tags_filter,
        batching: batching(options),
        subscribe_access: Access {
            client: options.allow_subscribe_for_client,
            subscriber: false,
            anonymous: options.allow_subscribe_for_anonymous,
        },
        publish_access: Access {
            client: options.allow_publish_for_client,
            subscriber: options.allow_publish_for_subscriber,
            anonymous: options.allow_publish_for_anonymous,
        },
        presence_access: Access {
            client: options.allow_presence_for_client,
            subscriber: options.allow_presence_for_subscriber,
            anonymous: options.allow_presence_for_anonymous,
        },
        history_access: Access {
            client: options.allow_history_for_client,
            subscriber: options.allow_history_for_subscriber,
            anonymous: options.allow_history_for_anonymous,
        },
        user_limited: options.allow_user_limited_channels,
        channel_regex: channel_regex(name, &options.channel_regex)?,
        data_format: data_format(options.publication_data_format, channels.publication_data_format),
        subscription_type: subscription_type(options.subscription_type),
        ..Namespace::default()
    })
}

/// A batch of one push is none.
fn batching(options: &ChannelOptions) -> Option<Batching> {
    let batching = Batching {
        max_size: options.batch_max_size,
        max_delay: options.batch_max_delay,
        latest: options.batch_flush_latest,
    };
    let collects = match batching.max_size {
        Some(size) => size > 1,
        None => batching.max_delay.is_some(),
    };
    collects.then_some(batching)
}

fn channel_regex(name: &str, pattern: &str) -> Result<Option<Regex>, InvalidChannels> {
    if pattern.is_empty() {
        return Ok(None);
    }
    Regex::new(pattern).map(Some).map_err(|error| {
        let place = match name {
            "" => "in channel.without_namespace".to_owned(),
            name => format!("namespace {name}"),
        };
        InvalidChannels::Regex {
            place,
            pattern: pattern.to_owned(),
            error,
        }
    })
}

/// The namespace's format, else the global one; a namespace cannot get back to the default beneath it.
fn data_format(own: PublicationDataFormat, global: PublicationDataFormat) -> DataFormat {
    let format = if own == PublicationDataFormat::Inherit {
        global
    } else {
        own
    };
    match format {
        PublicationDataFormat::Inherit => DataFormat::NonEmpty,
        PublicationDataFormat::Json => DataFormat::Json,
        PublicationDataFormat::JsonObject => DataFormat::JsonObject,
        PublicationDataFormat::Binary => DataFormat::Binary,
    }
}

fn subscription_type(configured: config::SubscriptionType) -> SubscriptionType {
    match configured {
        config::SubscriptionType::Stream => SubscriptionType::Stream,
        config::SubscriptionType::Map => SubscriptionType::Map,
        config::SubscriptionType::MapClients => SubscriptionType::MapClients,
        config::SubscriptionType::MapUsers => SubscriptionType::MapUsers,
        config::SubscriptionType::SharedPoll => SubscriptionType::SharedPoll,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::channels::{Denial, Operation, ReadQuery, SubscribeQuery};

    fn channels(options: ChannelOptions) -> Channels {
        let namespace = config::Namespace {
            name: "ns".to_owned(),
            options,
        };
        Channels {
            namespaces: vec![namespace],
            ..Channels::default()
        }
    }

    #[test]
    fn defaults_are_those_of_the_configuration() {
        let rules = ChannelRules::from_config(&Channels::default(), false).expect("rules");
        let namespace = rules.resolve("a").expect("namespace");
        assert_eq!(namespace.history_meta_ttl, Duration::from_secs(720 * 3600));
        assert_eq!(namespace.data_format, DataFormat::NonEmpty);
        assert_eq!(*rules.syntax(), NameSyntax::default());
        assert_eq!(rules.check_length(&"a".repeat(255)), Ok(()));
        assert_eq!(rules.check_length(&"a".repeat(256)), Err(Denial::NameTooLong));
        let query = SubscribeQuery {
            channel: "a",
            user: "1",
            has_token: false,
            subscription_type: 0,
            capabilities: None,
        };
        assert_eq!(
            rules.subscribe(query).err(),
            Some(Denial::NotPermitted(Operation::Subscribe))
        );
    }

    #[test]
    fn options_reach_their_operation() {
        type Set = fn(&mut ChannelOptions);
        let allowed = |set: Set| {
            let mut options = ChannelOptions {
                presence: true,
                history_size: 1,
                ..ChannelOptions::default()
            };
            options.history_ttl = Duration::from_secs(1);
            set(&mut options);
            let rules = ChannelRules::from_config(&channels(options), false).expect("rules");
            let namespace = rules.resolve("ns:a").expect("namespace").clone();
            let read = ReadQuery {
                channel: "ns:a",
                user: "1",
                subscription: None,
                capabilities: None,
            };
            let subscribe = namespace.subscribe_access.admits("1", false);
            let publish = namespace.publish_access.admits("1", false);
            [
                subscribe,
                publish,
                rules.presence(read).is_ok(),
                rules.history(read).is_ok(),
            ]
        };
        let cases: [(Set, _); 4] = [
            (
                |of| of.allow_subscribe_for_client = true,
                [true, false, false, false],
            ),
            (
                |of| of.allow_publish_for_client = true,
                [false, true, false, false],
            ),
            (
                |of| of.allow_presence_for_client = true,
                [false, false, true, false],
            ),
            (
                |of| of.allow_history_for_client = true,
                [false, false, false, true],
            ),
        ];
        for (set, expected) in cases {
            assert_eq!(allowed(set), expected);
        }
    }

    #[test]
    fn namespaces_inherit_global_options() {
        let options = ChannelOptions {
            history_meta_ttl: Some(Duration::from_secs(5)),
            publication_data_format: PublicationDataFormat::Binary,
            ..ChannelOptions::default()
        };
        let mut channels = channels(options);
        channels.publication_data_format = PublicationDataFormat::Json;
        channels.history_meta_ttl = Duration::from_secs(9);
        let rules = ChannelRules::from_config(&channels, false).expect("rules");
        let of = |channel: &str| {
            let namespace = rules.resolve(channel).expect("namespace");
            (namespace.history_meta_ttl.as_secs(), namespace.data_format)
        };
        assert_eq!(of("a"), (9, DataFormat::Json));
        assert_eq!(of("ns:a"), (5, DataFormat::Binary));
    }

    #[test]
    fn expressions_that_do_not_compile() {
        let broken = || ChannelOptions {
            channel_regex: "(".to_owned(),
            ..ChannelOptions::default()
        };
        let error = ChannelRules::from_config(&channels(broken()), false)
            .expect_err("broken")
            .to_string();
        assert!(
            error.starts_with("namespace ns: invalid channel regex (: "),
            "{error}"
        );
        let without = Channels {
            without_namespace: broken(),
            ..Channels::default()
        };
        let error = ChannelRules::from_config(&without, false)
            .expect_err("broken")
            .to_string();
        assert!(
            error.starts_with("in channel.without_namespace: invalid channel regex (: "),
            "{error}"
        );
    }
}
