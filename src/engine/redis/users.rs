//! Connections of users over all nodes: a set for each user, of client ids by when they expire. Our own addition;
//! Centrifugo neither knows nor touches these keys ([`Keys::user_connections`](super::keys::Keys)).

use std::time::Duration;

use futures_util::future::try_join_all;
use tidegate_redis_link::bytes;

use super::presence::{done, unix_seconds};
use super::scripts;
use super::shard::Shards;
use crate::engine::{UserConnections, Wait};

/// How long a connection counts after its last renewal: as long as presence by default.
const TTL: Duration = Duration::from_secs(60);

/// Counts connections in Redis. A user lives on one shard.
pub struct RedisUserConnections {
    shards: Shards,
}

impl RedisUserConnections {
    /// A count on these shards.
    #[must_use]
    pub fn new(shards: Shards) -> Self {
        Self { shards }
    }
}

impl UserConnections for RedisUserConnections {
    fn enter<'a>(&'a self, user: &'a str, client: &'a str, limit: usize) -> Wait<'a, bool> {
        Box::pin(async move {
            let shard = self.shards.get(self.shards.index_of(user))?;
            let now = unix_seconds();
            let keys = vec![shard.keys.user_connections(user)];
            let args = vec![
                client.to_owned().into(),
                now.to_string().into(),
                (now + TTL.as_secs()).to_string().into(),
                limit.to_string().into(),
                TTL.as_secs().to_string().into(),
            ];
            let answer = shard.script(user, &scripts::USER_ENTER, keys, args).await?;
            Ok(bytes(answer)? == "1")
        })
    }

    fn renew<'a>(&'a self, entries: &'a [(String, String)]) -> Wait<'a, ()> {
        Box::pin(async move {
            let expiry = (unix_seconds() + TTL.as_secs()).to_string();
            // Queued together, so that the link makes few commands of them.
            let renewing = entries.iter().map(|(user, client)| {
                let expiry = expiry.clone();
                async move {
                    let shard = self.shards.get(self.shards.index_of(user))?;
                    let keys = vec![shard.keys.user_connections(user)];
                    let args = vec![
                        client.to_owned().into(),
                        expiry.into(),
                        TTL.as_secs().to_string().into(),
                    ];
                    done(shard.script(user, &scripts::USER_RENEW, keys, args).await?)
                }
            });
            try_join_all(renewing).await.map(drop)
        })
    }

    fn leave<'a>(&'a self, user: &'a str, client: &'a str) -> Wait<'a, ()> {
        Box::pin(async move {
            let shard = self.shards.get(self.shards.index_of(user))?;
            let keys = vec![shard.keys.user_connections(user)];
            done(
                shard
                    .script(user, &scripts::USER_LEAVE, keys, vec![client.to_owned().into()])
                    .await?,
            )
        })
    }
}
