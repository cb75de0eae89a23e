//! Names of keys and channels in Redis (engines.md 4): the same as those of Centrifugo, which may work on them at
//! the same time.
//!
//! All names of a channel carry the same hash tag in a cluster, because scripts take several of them: the channel
//! itself, or with sharded publish/subscribe the tag of its partition.

use bytes::Bytes;

use super::sharding::shard_of;
use super::slots;
use crate::engine::EngineError;

/// Where the names of a channel have their hash tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A single server or a set with Sentinel: no tags.
    Plain,
    /// A cluster: the tag is the channel.
    Cluster,
    /// A cluster with sharded publish/subscribe: channels share the tags of partitions.
    Partitions(Partitions),
}

/// Tags of partitions, by which sharded publish/subscribe spreads over a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitions {
    tags: Vec<Box<str>>,
}

impl Partitions {
    /// The number of the partition is its tag, as in Centrifugo. At least one.
    #[must_use]
    pub fn decimal(count: usize) -> Self {
        let tags = (0..count.max(1)).map(|index| index.to_string().into()).collect();
        Self { tags }
    }

    /// Tags whose slots divide a cluster evenly: partition `i` of `n` lies in the `i`th of `n` equal ranges of
    /// slots. The table of Centrifugo is not public, so this is another; the two need prefixes of their own.
    #[must_use]
    pub fn balanced(count: usize) -> Self {
        Self {
            tags: slots::balanced_tags(count.max(1)),
        }
    }

    /// Tags by partition.
    #[must_use]
    pub fn tags(&self) -> &[Box<str>] {
        &self.tags
    }

    /// The partition of a channel.
    #[must_use]
    pub fn of(&self, channel: &str) -> usize {
        shard_of(channel, self.tags.len())
    }
}

/// Makes the names of one shard.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: Box<str>,
    layout: Layout,
}

impl Keys {
    /// Names that begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str, layout: Layout) -> Self {
        Self {
            prefix: prefix.into(),
            layout,
        }
    }

    /// Where the tags are.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether the names of a channel can lie together.
    ///
    /// # Errors
    /// [`EngineError::BadChannel`] in a cluster for a channel that begins with `}`: its tag would be empty, and an
    /// empty tag is none. Redis would refuse a script with such keys, and with it those of others that the link
    /// has merged with it.
    pub fn check(&self, channel: &str) -> Result<(), EngineError> {
        if self.layout != Layout::Plain && channel.starts_with('}') {
            return Err(EngineError::BadChannel);
        }
        Ok(())
    }

    /// What clients of a channel are sent over.
    #[must_use]
    pub fn client(&self, channel: &str) -> Bytes {
        self.tagged("client", channel)
    }

    /// The channel of a name made by [`Keys::client`].
    #[must_use]
    pub fn channel_of<'a>(&self, name: &'a [u8]) -> Option<&'a str> {
        let name = std::str::from_utf8(name).ok()?;
        let rest = name.strip_prefix(&*self.prefix)?.strip_prefix(".client.")?;
        match &self.layout {
            Layout::Plain => Some(rest),
            Layout::Cluster => rest.strip_prefix('{')?.strip_suffix('}'),
            Layout::Partitions(_) => rest
                .strip_prefix('{')?
                .split_once("}.")
                .map(|(_, channel)| channel),
        }
    }

    /// The stream of a channel.
    #[must_use]
    pub fn stream(&self, channel: &str) -> Bytes {
        self.tagged("stream", channel)
    }

    /// Epoch and top of a channel's stream.
    #[must_use]
    pub fn stream_meta(&self, channel: &str) -> Bytes {
        self.tagged("stream.meta", channel)
    }

    /// The list of a channel, where history is kept in lists.
    #[must_use]
    pub fn list(&self, channel: &str) -> Bytes {
        self.tagged("list", channel)
    }

    /// Epoch and top of a channel's list.
    #[must_use]
    pub fn list_meta(&self, channel: &str) -> Bytes {
        self.tagged("list.meta", channel)
    }

    /// The result of an idempotency key; of the empty one where there is none.
    #[must_use]
    pub fn result(&self, channel: &str, key: &str) -> Bytes {
        let mut name = self.name("result", channel, 1 + key.len());
        name.push('.');
        name.push_str(key);
        name.into()
    }

    /// When members of a channel expire.
    #[must_use]
    pub fn presence_expire(&self, channel: &str) -> Bytes {
        self.member("presence.expire", channel)
    }

    /// Members of a channel.
    #[must_use]
    pub fn presence_data(&self, channel: &str) -> Bytes {
        self.member("presence.data", channel)
    }

    /// When users of a channel expire.
    #[must_use]
    pub fn presence_user_expire(&self, channel: &str) -> Bytes {
        self.member("presence.user.expire", channel)
    }

    /// Number of members of each user of a channel.
    #[must_use]
    pub fn presence_user_clients(&self, channel: &str) -> Bytes {
        self.member("presence.user.clients", channel)
    }

    /// Messages to all nodes.
    #[must_use]
    pub fn control(&self) -> Bytes {
        self.plain("control")
    }

    /// Messages to one node.
    #[must_use]
    pub fn node(&self, id: &str) -> Bytes {
        format!("{}.node.{id}", self.prefix).into()
    }

    /// Subscribed by every connection that listens and never published to: shows that the connection works.
    /// In partitions one for each, so that it lies where the partition does.
    #[must_use]
    pub fn keep_alive(&self, partition: usize) -> Bytes {
        match &self.layout {
            Layout::Partitions(partitions) => {
                let tag = partitions.tags.get(partition).map_or("0", |tag| tag);
                format!("{}.shard.0.{{{tag}}}", self.prefix).into()
            }
            Layout::Plain | Layout::Cluster => self.control_keep_alive(),
        }
    }

    /// The same for connections that listen to messages between nodes, which are not in partitions.
    #[must_use]
    pub fn control_keep_alive(&self) -> Bytes {
        self.plain("shard.0")
    }

    /// Connections of a user on all nodes. Our own addition, in a space that Centrifugo does not use.
    #[must_use]
    pub fn user_connections(&self, user: &str) -> Bytes {
        match &self.layout {
            Layout::Plain => format!("{}.tidegate.user.{user}", self.prefix).into(),
            Layout::Cluster | Layout::Partitions(_) => {
                format!("{}.tidegate.user.{{{user}}}", self.prefix).into()
            }
        }
    }

    /// What is read to see whether the server has streams.
    #[must_use]
    pub fn probe_stream(&self) -> Bytes {
        self.plain("__.check.stream")
    }

    /// What is published to, to see whether the server has sharded publish/subscribe.
    #[must_use]
    pub fn probe_publish(&self) -> Bytes {
        self.plain("__check.spublish")
    }

    fn plain(&self, kind: &str) -> Bytes {
        format!("{}.{kind}", self.prefix).into()
    }

    /// A name of presence, which partitions do not touch.
    fn member(&self, kind: &str, channel: &str) -> Bytes {
        match &self.layout {
            Layout::Plain => format!("{}.{kind}.{channel}", self.prefix).into(),
            Layout::Cluster | Layout::Partitions(_) => format!("{}.{kind}.{{{channel}}}", self.prefix).into(),
        }
    }

    fn tagged(&self, kind: &str, channel: &str) -> Bytes {
        self.name(kind, channel, 0).into()
    }

    /// `prefix.kind.channel` with the tag, and room for `more` bytes.
    fn name(&self, kind: &str, channel: &str, more: usize) -> String {
        let tag = match &self.layout {
            Layout::Partitions(partitions) => {
                partitions.tags.get(partitions.of(channel)).map_or("0", |tag| tag)
            }
            Layout::Plain | Layout::Cluster => "",
        };
        let length = self.prefix.len() + kind.len() + tag.len() + channel.len() + more + 5;
        let mut name = String::with_capacity(length);
        name.push_str(&self.prefix);
        name.push('.');
        name.push_str(kind);
        name.push('.');
        match &self.layout {
            Layout::Plain => name.push_str(channel),
            Layout::Cluster => {
                name.push('{');
                name.push_str(channel);
                name.push('}');
            }
            Layout::Partitions(_) => {
                name.push('{');
                name.push_str(tag);
                name.push_str("}.");
                name.push_str(channel);
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_redis_link::slot;

    use super::*;

    fn text(name: &Bytes) -> &str {
        std::str::from_utf8(name).unwrap()
    }

    /// Names of the channel `ch` in the order of the table in engines.md 4.
    fn names(keys: &Keys) -> Vec<String> {
        [
            keys.client("ch"),
            keys.stream("ch"),
            keys.stream_meta("ch"),
            keys.list("ch"),
            keys.list_meta("ch"),
            keys.result("ch", "k"),
            keys.result("ch", ""),
            keys.presence_expire("ch"),
            keys.presence_data("ch"),
            keys.presence_user_expire("ch"),
            keys.presence_user_clients("ch"),
            keys.control(),
            keys.node("uid"),
            keys.keep_alive(0),
        ]
        .iter()
        .map(|name| text(name).to_owned())
        .collect()
    }

    #[test]
    fn names_are_those_of_the_table() {
        let plain = [
            "P.client.ch",
            "P.stream.ch",
            "P.stream.meta.ch",
            "P.list.ch",
            "P.list.meta.ch",
            "P.result.ch.k",
            "P.result.ch.",
            "P.presence.expire.ch",
            "P.presence.data.ch",
            "P.presence.user.expire.ch",
            "P.presence.user.clients.ch",
            "P.control",
            "P.node.uid",
            "P.shard.0",
        ];
        assert_eq!(names(&Keys::new("P", Layout::Plain)), plain);
        let cluster: Vec<String> = plain
            .iter()
            .map(|name| match name.strip_prefix("P.result.ch.") {
                Some(key) => format!("P.result.{{ch}}.{key}"),
                None if name.ends_with(".ch") => name.replace(".ch", ".{ch}"),
                None => (*name).to_owned(),
            })
            .collect();
        assert_eq!(names(&Keys::new("P", Layout::Cluster)), cluster);
        let tag = shard_of("ch", 8);
        let partitions: Vec<String> = cluster
            .iter()
            .map(|name| match name.as_str() {
                "P.shard.0" => "P.shard.0.{0}".to_owned(),
                name if name.starts_with("P.presence") => name.to_owned(),
                name => name.replace("{ch}", &format!("{{{tag}}}.ch")),
            })
            .collect();
        let keys = Keys::new("P", Layout::Partitions(Partitions::decimal(8)));
        assert_eq!(names(&keys), partitions);
    }

    #[test]
    fn a_channel_whose_tag_would_be_empty_is_refused_in_clusters() {
        assert_eq!(Keys::new("P", Layout::Plain).check("}x"), Ok(()));
        for layout in [Layout::Cluster, Layout::Partitions(Partitions::decimal(2))] {
            let keys = Keys::new("P", layout);
            assert_eq!(keys.check("}x"), Err(EngineError::BadChannel));
            assert_eq!(keys.check("x}"), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn channels_are_found_again_in_names(channel: String, prefix in "[a-z.{}]{0,5}", partitions in 1_usize..9) {
            for layout in [Layout::Plain, Layout::Cluster, Layout::Partitions(Partitions::decimal(partitions))] {
                let keys = Keys::new(&prefix, layout);
                let (client, control) = (keys.client(&channel), keys.control());
                prop_assert_eq!(keys.channel_of(&client), Some(channel.as_str()));
                prop_assert_eq!(keys.channel_of(&control), None);
            }
        }

        #[test]
        fn names_of_a_channel_share_a_slot(channel in "[^}].{0,10}", key: String, partitions in 1_usize..9) {
            for layout in [Layout::Cluster, Layout::Partitions(Partitions::decimal(partitions))] {
                let keys = Keys::new("P", layout);
                let expected = slot(&keys.stream(&channel));
                for name in [keys.client(&channel), keys.stream_meta(&channel), keys.result(&channel, &key)] {
                    prop_assert_eq!(slot(&name), expected);
                }
                prop_assert_eq!(
                    slot(&keys.presence_data(&channel)),
                    slot(&keys.presence_user_expire(&channel))
                );
            }
        }
    }
}
