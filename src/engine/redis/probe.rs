//! What the servers must be able to do, asked once at the start (engines.md 3).

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use tidegate_redis_link::redis::Cmd;
use tidegate_redis_link::{Call, LinkError};

use super::keys::Layout;
use super::shard::{Shard, Shards};

/// What the configured roles need of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// History in streams: Redis 5.
    pub streams: bool,
    /// Fields that expire: Redis 7.4, Valkey 9.
    pub hash_field_ttl: bool,
}

impl Needs {
    /// What two roles need together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            streams: self.streams || other.streams,
            hash_field_ttl: self.hash_field_ttl || other.hash_field_ttl,
        }
    }
}

/// A server that answers cannot do what the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No streams.
    #[error("Redis has no streams: version 5 or later is needed, or the option history_use_lists")]
    Streams,
    /// No expiry of fields.
    #[error(
        "Redis cannot let hash fields expire: presence_hash_field_ttl needs Redis 7.4, Valkey 9 or later"
    )]
    HashFieldTtl,
    /// No sharded publish/subscribe.
    #[error("Redis has no sharded publish/subscribe: version 7 or later is needed")]
    ShardedPublish,
}

/// How long to wait before asking again whether there is a connection.
const PAUSE: Duration = Duration::from_millis(20);

impl Shards {
    /// Asks every shard. One that cannot be reached within its time to connect is logged and no obstacle: it may
    /// come later, and what it lacks shows then.
    ///
    /// # Errors
    /// [`Missing`] if a shard answers that it lacks something.
    pub async fn probe(&self, needs: Needs) -> Result<(), Missing> {
        try_join_all(self.iter().map(|shard| shard.ask(needs)))
            .await
            .map(drop)
    }
}

impl Shard {
    async fn ask(&self, needs: Needs) -> Result<(), Missing> {
        if let Err(error) = self.connected().await {
            tracing::error!(%error, "error connecting to Redis, attempts go on");
            return Ok(());
        }
        let key = self.keys.probe_stream();
        if needs.streams {
            self.probe("XRANGE", key.clone(), &["0-0", "0-0"], Missing::Streams)
                .await?;
        }
        if needs.hash_field_ttl {
            let rest = ["1", "FIELDS", "1", "f"];
            self.probe("HEXPIRE", key, &rest, Missing::HashFieldTtl).await?;
        }
        if matches!(self.keys.layout(), Layout::Partitions(_)) {
            let channel = self.keys.probe_publish();
            self.probe("SPUBLISH", channel, &[""], Missing::ShardedPublish)
                .await?;
        }
        Ok(())
    }

    /// Waits for the first connection, as long as connecting may take.
    async fn connected(&self) -> Result<(), LinkError> {
        let deadline = tokio::time::Instant::now() + self.options.connect_timeout;
        loop {
            let mut ping = Cmd::new();
            ping.arg("PING");
            match self.commands.call(Call::command(0, None, ping)).await {
                Ok(_) => return Ok(()),
                Err(error) if tokio::time::Instant::now() >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn probe(
        &self,
        name: &'static str,
        key: Bytes,
        rest: &[&str],
        missing: Missing,
    ) -> Result<(), Missing> {
        let mut command = Cmd::new();
        command.arg(name).arg(&key[..]).arg(rest);
        match self.commands.call(Call::command(0, Some(key), command)).await {
            Ok(_) => Ok(()),
            Err(LinkError::Server { message, .. }) if message.to_lowercase().contains("unknown command") => {
                Err(missing)
            }
            Err(error) => {
                tracing::error!(%error, command = name, "error asking Redis what it can do");
                Ok(())
            }
        }
    }
}
