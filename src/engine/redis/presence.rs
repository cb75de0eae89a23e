//! Who is in a channel (engines.md 6.7).
//!
//! Channels of any size are read without holding Redis up: expired members go some at a time, small channels are
//! read by one script, large ones are scanned page by page. A scan yields everybody who is there all the time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use tidegate_redis_link::redis::{Cmd, Value};
use tidegate_redis_link::{Script, bytes};

use super::answer::Parts;
use super::payload;

use super::shard::{Shard, Shards};
use super::{scripts, seconds};
use crate::engine::rarely::Rarely;
use crate::engine::{ClientInfo, EngineError, PresenceStats, PresenceStore, Wait};

/// Members of a page of a scan.
const PAGE: usize = 1000;

/// How presence is kept. All nodes on one Redis must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceOptions {
    /// How long an entry outlives its last renewal; at least a second.
    pub ttl: Duration,
    /// Count the members of each user, so that counting users reads no members.
    pub user_mapping: bool,
    /// Have fields of hashes expire in place of a set of expiries: Redis 7.4 or Valkey 9.
    pub hash_field_ttl: bool,
}

/// Presence over one or several shards.
pub struct RedisPresence {
    shards: Shards,
    options: PresenceOptions,
    malformed: Rarely,
}

impl RedisPresence {
    /// A store on these shards.
    #[must_use]
    pub fn new(shards: Shards, options: PresenceOptions) -> Self {
        Self {
            shards,
            options,
            malformed: Rarely::new(),
        }
    }

    fn flags(&self) -> [Bytes; 2] {
        [self.options.user_mapping, self.options.hash_field_ttl].map(flag)
    }

    /// Runs a script that forgets expired members before it answers, until none is left.
    /// What scripts work on: expiry of members, members, expiry of users, members of users.
    ///
    /// In place of those that the options leave unused, the members again: while a slot moves, a cluster refuses calls
    /// whose keys are not all there, and one that never exists would never be.
    fn keys(&self, shard: &Shard, channel: &str) -> Vec<Bytes> {
        let PresenceOptions {
            user_mapping,
            hash_field_ttl,
            ..
        } = self.options;
        let keys = &shard.keys;
        let members = keys.presence_data(channel);
        let used = |is_used: bool, key: Bytes| if is_used { key } else { members.clone() };
        vec![
            used(!hash_field_ttl, keys.presence_expire(channel)),
            members.clone(),
            used(
                user_mapping && !hash_field_ttl,
                keys.presence_user_expire(channel),
            ),
            used(user_mapping, keys.presence_user_clients(channel)),
        ]
    }

    async fn purged(
        &self,
        shard: &Shard,
        channel: &str,
        script: &'static Script,
        keys: Vec<Bytes>,
    ) -> Result<Parts, EngineError> {
        let args = vec![
            unix_seconds().to_string().into(),
            flag(self.options.hash_field_ttl),
        ];
        loop {
            let mut answer = Parts::of(shard.script(channel, script, keys.clone(), args.clone()).await?)?;
            if !answer.flag()? {
                return Ok(answer);
            }
        }
    }

    /// Number of members, and those of a small channel.
    async fn read(&self, shard: &Shard, channel: &str) -> Result<(u64, Option<Parts>), EngineError> {
        let mut keys = self.keys(shard, channel);
        keys.truncate(2);
        let mut answer = self.purged(shard, channel, &scripts::PRESENCE_READ, keys).await?;
        Ok((answer.number()?, answer.list()?))
    }

    /// Shows `see` all members of a channel, some of them possibly twice.
    async fn visit(
        &self,
        channel: &str,
        mut see: impl FnMut(Bytes, Arc<ClientInfo>) + Send,
    ) -> Result<u64, EngineError> {
        let shard = self.shards.of(channel)?;
        let (count, members) = self.read(shard, channel).await?;
        if let Some(members) = members {
            self.decode(channel, members, &mut see)?;
            return Ok(count);
        }
        let key = shard.keys.presence_data(channel);
        let mut cursor = Bytes::from_static(b"0");
        loop {
            let mut command = Cmd::new();
            command
                .arg("HSCAN")
                .arg(&key[..])
                .arg(&cursor[..])
                .arg("COUNT")
                .arg(PAGE);
            let mut answer = Parts::of(shard.command(channel, key.clone(), command).await?)?;
            cursor = answer.bytes()?;
            self.decode(channel, answer.list()?.unwrap_or_default(), &mut see)?;
            if cursor == "0" {
                return Ok(count);
            }
        }
    }

    fn decode(
        &self,
        channel: &str,
        members: Parts,
        see: &mut impl FnMut(Bytes, Arc<ClientInfo>),
    ) -> Result<(), EngineError> {
        for (client, bytes) in members.pairs()? {
            match payload::client_info(bytes) {
                Ok(info) => see(client, info),
                Err(error) => {
                    if let Some(count) = self.malformed.allow() {
                        tracing::error!(channel, count, %error, "error reading a member in Redis, left out");
                    }
                }
            }
        }
        Ok(())
    }
}

impl PresenceStore for RedisPresence {
    fn ready(&self) -> Result<(), EngineError> {
        self.shards.ready()
    }

    fn add<'a>(&'a self, channel: &'a str, client: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        Box::pin(async move {
            let shard = self.shards.of(channel)?;
            let ttl = seconds(self.options.ttl).max(1);
            let [mapping, field_ttl] = self.flags();
            let args = vec![
                ttl.to_string().into(),
                (unix_seconds() + ttl).to_string().into(),
                client.to_owned().into(),
                payload::encode_client_info(&info),
                info.user.clone().into(),
                mapping,
                field_ttl,
            ];
            done(
                shard
                    .script(channel, &scripts::PRESENCE_ADD, self.keys(shard, channel), args)
                    .await?,
            )
        })
    }

    fn remove<'a>(&'a self, channel: &'a str, client: &'a str, user: &'a str) -> Wait<'a, ()> {
        Box::pin(async move {
            let shard = self.shards.of(channel)?;
            let [mapping, field_ttl] = self.flags();
            let args = vec![
                client.to_owned().into(),
                user.to_owned().into(),
                mapping,
                field_ttl,
            ];
            done(
                shard
                    .script(
                        channel,
                        &scripts::PRESENCE_REMOVE,
                        self.keys(shard, channel),
                        args,
                    )
                    .await?,
            )
        })
    }

    fn presence<'a>(&'a self, channel: &'a str) -> Wait<'a, BTreeMap<String, Arc<ClientInfo>>> {
        Box::pin(async move {
            let mut members = BTreeMap::new();
            self.visit(channel, |client, info| {
                members.insert(String::from_utf8_lossy(&client).into_owned(), info);
            })
            .await?;
            Ok(members)
        })
    }

    fn stats<'a>(&'a self, channel: &'a str) -> Wait<'a, PresenceStats> {
        Box::pin(async move {
            let (clients, users) = if self.options.user_mapping {
                let shard = self.shards.of(channel)?;
                let mut answer = self
                    .purged(
                        shard,
                        channel,
                        &scripts::PRESENCE_COUNT,
                        self.keys(shard, channel),
                    )
                    .await?;
                (answer.number()?, answer.number()?)
            } else {
                let mut users = HashSet::new();
                let clients = self
                    .visit(channel, |_, info| {
                        if !users.contains(&info.user) {
                            users.insert(info.user.clone());
                        }
                    })
                    .await?;
                (clients, users.len() as u64)
            };
            Ok(PresenceStats {
                clients: u32::try_from(clients).unwrap_or(u32::MAX),
                users: u32::try_from(users).unwrap_or(u32::MAX),
            })
        })
    }
}

fn flag(is_set: bool) -> Bytes {
    Bytes::from_static(if is_set { b"1" } else { b"0" })
}

/// The answer of scripts that only do something.
pub(super) fn done(answer: Value) -> Result<(), EngineError> {
    Ok(bytes(answer).map(drop)?)
}

/// Now, in seconds of Unix time, as expiries are.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
