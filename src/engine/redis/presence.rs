//! Who is in a channel (engines.md 6.7).
//!
//! Channels of any size are read without holding Redis up: expired members go some at a time, small channels are
//! read by one script, large ones are scanned page by page. A scan yields everybody who is there all the time.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use tidegate_redis_link::redis::{Cmd, Value};
use tidegate_redis_link::{Call, Commands, Script, bytes};

use super::answer::Parts;
use super::payload;

use super::shard::{Shard, Shards, order};
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
    /// Replicas from which nothing could be read.
    unread: Rarely,
}

/// Where something is read.
struct Place<'a> {
    shard: &'a Shard,
    commands: &'a Commands,
    is_replica: bool,
}

impl RedisPresence {
    /// A store on these shards.
    #[must_use]
    pub fn new(shards: Shards, options: PresenceOptions) -> Self {
        Self {
            shards,
            options,
            malformed: Rarely::new(),
            unread: Rarely::new(),
        }
    }

    fn flags(&self) -> [Bytes; 2] {
        [self.options.user_mapping, self.options.hash_field_ttl].map(flag)
    }

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

    /// Runs a script that forgets expired members before it answers, until none is left. `None`: this place cannot
    /// forget them.
    async fn purged(
        &self,
        place: &Place<'_>,
        channel: &str,
        script: &'static Script,
        keys: Vec<Bytes>,
    ) -> Result<Option<Parts>, EngineError> {
        let ends: &[u8] = match (self.options.hash_field_ttl, place.is_replica) {
            (true, _) => b"1",
            (false, true) => b"2",
            (false, false) => b"0",
        };
        let args = vec![unix_seconds().to_string().into(), Bytes::from_static(ends)];
        loop {
            let call = Call::script(order(channel), script, keys.clone(), args.clone());
            let mut answer = Parts::of(place.commands.call(call).await?)?;
            match answer.number()? {
                0 => return Ok(Some(answer)),
                1 => {}
                _ => return Ok(None),
            }
        }
    }

    /// Shows `see` all members of a channel, some of them possibly twice, and answers how many there are.
    async fn visit<T: Default + Send>(
        &self,
        channel: &str,
        see: impl Fn(&mut T, Bytes, Arc<ClientInfo>) + Send + Sync,
    ) -> Result<(u64, T), EngineError> {
        let shard = self.shards.of(channel)?;
        let see = &see;
        self.read(
            shard,
            |place| async move { self.visit_at(&place, channel, see).await },
        )
        .await
    }

    /// Reads from a replica where that is wanted and possible, else from the master.
    async fn read<'a, T, F>(&self, shard: &'a Shard, read: impl Fn(Place<'a>) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<Option<T>, EngineError>>,
    {
        if let Some(commands) = &shard.replicas {
            let replica = Place {
                shard,
                commands,
                is_replica: true,
            };
            match read(replica).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) => {
                    if let Some(count) = self.unread.allow() {
                        tracing::warn!(count, %error, "presence cannot be read from a replica, reading from the master");
                    }
                }
            }
        }
        let master = Place {
            shard,
            commands: &shard.commands,
            is_replica: false,
        };
        let found = read(master).await?;
        found.ok_or_else(|| EngineError::Unavailable("a master that cannot forget".to_owned()))
    }

    async fn visit_at<T: Default>(
        &self,
        place: &Place<'_>,
        channel: &str,
        see: &(impl Fn(&mut T, Bytes, Arc<ClientInfo>) + Sync),
    ) -> Result<Option<(u64, T)>, EngineError> {
        let mut keys = self.keys(place.shard, channel);
        keys.truncate(2);
        let answer = self.purged(place, channel, &scripts::PRESENCE_READ, keys).await?;
        let Some(mut answer) = answer else {
            return Ok(None);
        };
        let mut seen = T::default();
        let count = answer.number()?;
        if let Some(members) = answer.list()? {
            self.decode(channel, members, &mut seen, see)?;
            return Ok(Some((count, seen)));
        }
        // A large one: page by page.
        let key = place.shard.keys.presence_data(channel);
        let mut cursor = Bytes::from_static(b"0");
        loop {
            let mut command = Cmd::new();
            command
                .arg("HSCAN")
                .arg(&key[..])
                .arg(&cursor[..])
                .arg("COUNT")
                .arg(PAGE);
            let call = Call::command(order(channel), Some(key.clone()), command);
            let mut answer = Parts::of(place.commands.call(call).await?)?;
            cursor = answer.bytes()?;
            self.decode(channel, answer.list()?.unwrap_or_default(), &mut seen, see)?;
            if cursor == "0" {
                return Ok(Some((count, seen)));
            }
        }
    }

    fn decode<T>(
        &self,
        channel: &str,
        members: Parts,
        seen: &mut T,
        see: &impl Fn(&mut T, Bytes, Arc<ClientInfo>),
    ) -> Result<(), EngineError> {
        for (client, bytes) in members.pairs()? {
            match payload::client_info(bytes) {
                Ok(info) => see(seen, client, info),
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
            let (_, members) = self
                .visit(channel, |members: &mut BTreeMap<_, _>, client, info| {
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
                self.read(shard, |place| async move {
                    let keys = self.keys(shard, channel);
                    let answer = self
                        .purged(&place, channel, &scripts::PRESENCE_COUNT, keys)
                        .await?;
                    answer
                        .map(|mut answer| Ok((answer.number()?, answer.number()?)))
                        .transpose()
                })
                .await?
            } else {
                let (clients, users) = self
                    .visit(channel, |users: &mut HashSet<String>, _, info| {
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
