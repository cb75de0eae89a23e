//! The servers behind an engine: one shard, or several that know nothing of each other (engines.md 3).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use tidegate_redis_link::redis::{Cmd, Value};
use tidegate_redis_link::{Call, Commands, LinkError, Options, Script, Topology};

use super::address::mode;
use super::keys::{Keys, Layout, Partitions};
use super::sharding::{fnv1a, shard_of};
use crate::engine::EngineError;

/// What several roles of one node share: connections for commands, and names.
#[derive(Clone)]
pub struct Shards {
    list: Arc<[Shard]>,
    mode: Arc<str>,
}

/// One single server, one set with Sentinel or one cluster.
pub(super) struct Shard {
    pub(super) options: Options,
    pub(super) commands: Commands,
    /// For what may be a moment old; `None` where the options want none or there are none.
    pub(super) replicas: Option<Commands>,
    pub(super) keys: Arc<Keys>,
}

/// How sharded publish/subscribe of clusters is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partitioning {
    /// Number of partitions; 0 for publish/subscribe that is not sharded.
    pub count: usize,
    /// Tags that divide a cluster evenly, which no Centrifugo knows.
    pub balanced: bool,
}

impl Shards {
    /// As [`open`](Self::open), after each single server has been asked, for as long as connecting may take, whether
    /// it is one of a cluster (engines.md 3). One that does not answer is taken for what it seems to be; should it
    /// turn out to be more, it is refused.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn discover(mut options: Vec<Options>, prefix: &str, partitioning: Partitioning) -> Self {
        join_all(options.iter_mut().map(Options::discover_cluster)).await;
        for shard in &options {
            if let Topology::Single(endpoint) = &shard.topology
                && shard.replicas
            {
                tracing::warn!(address = %endpoint, "nobody names the replicas of a single Redis, none is read");
            }
        }
        Self::open(options, prefix, partitioning)
    }

    /// Connects in the background to each of the servers, in the order of the configuration, which decides on which
    /// of them a channel lives. Inside of a Tokio runtime.
    #[must_use]
    pub fn open(options: Vec<Options>, prefix: &str, partitioning: Partitioning) -> Self {
        let mode = mode(&options);
        let list = options
            .into_iter()
            .map(|options| {
                let layout = layout(&options.topology, partitioning);
                Shard {
                    commands: Commands::open(&options),
                    replicas: Commands::open_replicas(&options),
                    keys: Arc::new(Keys::new(prefix, layout)),
                    options,
                }
            })
            .collect();
        Self {
            list,
            mode: mode.into(),
        }
    }

    /// `standalone`, `sentinel`, `cluster`, or such as `sharded(2):standalone-x2`.
    #[must_use]
    pub fn mode(&self) -> &str {
        &self.mode
    }

    /// Whether these are the same connections.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.list, &other.list)
    }

    /// Whether commands can be sent to all shards.
    ///
    /// # Errors
    /// What is in the way at the first that cannot be reached.
    pub fn ready(&self) -> Result<(), EngineError> {
        self.list.iter().try_for_each(|shard| Ok(shard.commands.ready()?))
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Shard> {
        self.list.iter()
    }

    /// The index of the shard on which a channel, or anything else that is divided like channels, lives.
    pub(super) fn index_of(&self, channel: &str) -> usize {
        shard_of(channel, self.list.len())
    }

    pub(super) fn get(&self, index: usize) -> Result<&Shard, EngineError> {
        self.list
            .get(index)
            .ok_or_else(|| EngineError::Unavailable("no Redis is configured".to_owned()))
    }

    /// The shard of a channel, if names of the channel can be made there.
    pub(super) fn of(&self, channel: &str) -> Result<&Shard, EngineError> {
        let shard = self.get(self.index_of(channel))?;
        shard.keys.check(channel)?;
        Ok(shard)
    }
}

impl Shard {
    /// Runs one call of a script. Calls for one `name`, of a channel or a user, keep their order.
    pub(super) async fn script(
        &self,
        name: &str,
        script: &'static Script,
        keys: Vec<Bytes>,
        args: Vec<Bytes>,
    ) -> Result<Value, LinkError> {
        self.commands
            .call(Call::script(order(name), script, keys, args))
            .await
    }

    /// Runs one command, at the node of the cluster that has `key`; ordered with the scripts.
    pub(super) async fn command(&self, name: &str, key: Bytes, command: Cmd) -> Result<Value, LinkError> {
        self.commands
            .call(Call::command(order(name), Some(key), command))
            .await
    }

    /// Sends a message to the clients of a channel.
    pub(super) async fn publish(&self, channel: &str, message: Bytes) -> Result<(), LinkError> {
        let name = self.keys.client(channel);
        let words = [self.publish_command().as_bytes(), &name, &message];
        let call = Call::words(order(channel), Some(name.clone()), &words);
        self.commands.call(call).await.map(drop)
    }

    /// What scripts publish to clients with.
    pub(super) fn publish_command(&self) -> &'static str {
        match self.keys.layout() {
            Layout::Partitions(_) => "spublish",
            Layout::Plain | Layout::Cluster => "publish",
        }
    }
}

/// The order key of calls for a channel or a user.
pub(super) fn order(name: &str) -> u64 {
    fnv1a(name.as_bytes())
}

fn layout(topology: &Topology, partitioning: Partitioning) -> Layout {
    match topology {
        Topology::Single(_) | Topology::Sentinel(_) => Layout::Plain,
        Topology::Cluster { .. } if partitioning.count == 0 => Layout::Cluster,
        Topology::Cluster { .. } if partitioning.balanced => {
            Layout::Partitions(Partitions::balanced(partitioning.count))
        }
        Topology::Cluster { .. } => Layout::Partitions(Partitions::decimal(partitioning.count)),
    }
}
