//! Which engine does what (engines.md 1): made from the configuration, before the node that uses them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, Nats, Redis};
use crate::engine::memory::{MemoryBroker, MemoryPresence};
use crate::engine::nats::link::Link;
use crate::engine::nats::{JetStream, Lacking, NatsBroker, NatsController};
use crate::engine::redis::{
    HistoryIn, Missing, Needs, Partitioning, PresenceOptions, RedisBroker, RedisController, RedisPresence,
    RedisUserConnections, Shards, shards,
};
use crate::engine::{Broker, Controller, PresenceStore, UserConnections, nats, redis};

/// Entries of the memory presence store vanish when a connection did not renew them for that long.
const PRESENCE_TTL: Duration = Duration::from_secs(60);

/// The engines of a node.
pub struct Engines {
    /// History and publish/subscribe.
    pub broker: Arc<dyn Broker>,
    /// Who is where.
    pub presence: Arc<dyn PresenceStore>,
    /// What joins the node with others; `None` for a node that acts alone.
    pub controller: Option<Arc<dyn Controller>>,
    /// Where the connections of users are counted over all nodes; `None` where nothing can.
    pub user_connections: Option<Arc<dyn UserConnections>>,
    /// Name for the log.
    pub name: String,
    pub(super) sweeper: Sweeper,
    /// Servers, and what they must be able to do.
    probes: Vec<(Shards, Needs)>,
    /// NATS, and the history in it.
    nats: Option<(Arc<Link>, Option<Arc<JetStream>>)>,
}

/// An engine cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnginesError {
    /// An address or a certificate for Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] redis::AddressError),
    /// An address or a certificate for NATS cannot be used.
    #[error(transparent)]
    Nats(#[from] nats::AddressError),
}

/// A server that answers cannot do what the configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnginesLack {
    /// Redis cannot.
    #[error(transparent)]
    Redis(#[from] Missing),
    /// NATS cannot.
    #[error(transparent)]
    Nats(#[from] Lacking),
}

/// Gives memory of expired entries back; called about once a second.
#[derive(Default)]
pub(super) struct Sweeper {
    broker: Option<Arc<MemoryBroker>>,
    presence: Option<Arc<MemoryPresence>>,
}

/// Where a half of the engine is. What is neither of the others is memory: validation has refused all else.
#[derive(Clone)]
enum Place {
    Memory,
    Redis(Shards),
    Nats(Arc<Link>, Option<Arc<JetStream>>),
}

impl Engines {
    /// Makes the engines that a configuration asks for. Servers are connected to in the background, for ever; an
    /// address of Redis is asked before, for as long as connecting may take, whether it is that of a cluster. Must be
    /// called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`EnginesError`] for an address or a certificate that cannot be used.
    pub async fn open(config: &Config) -> Result<Self, EnginesError> {
        let (own_broker, own_presence) = (&config.broker, &config.presence_manager);
        // One half may be replaced, and the other still use the engine. Both use its connections.
        let engine = if own_broker.enabled && own_presence.enabled {
            Place::Memory
        } else {
            let options = &config.engine.redis.options;
            let partitioning = Partitioning {
                count: options.sharded_pub_sub_partitions,
                balanced: options.sharded_pub_sub_balanced,
            };
            Place::open(
                &config.engine.r#type,
                &config.engine.redis.redis,
                partitioning,
                options.presence_read_from_replica && !own_presence.enabled,
            )
            .await?
        };
        let (broker_place, uses_lists) = if own_broker.enabled && own_broker.r#type == "nats" {
            (Place::nats(&own_broker.nats)?, false)
        } else if own_broker.enabled {
            let options = &own_broker.redis.options;
            let partitioning = Partitioning {
                count: options.sharded_pub_sub_partitions,
                balanced: options.sharded_pub_sub_balanced,
            };
            let place = Place::open(&own_broker.r#type, &own_broker.redis.redis, partitioning, false).await?;
            (place, options.history_use_lists)
        } else {
            (engine.clone(), config.engine.redis.options.history_use_lists)
        };
        let (presence_place, presence_options) = if own_presence.enabled {
            let redis = &own_presence.redis;
            let options = PresenceOptions {
                ttl: redis.options.presence_ttl,
                user_mapping: redis.options.presence_user_mapping,
                hash_field_ttl: redis.options.presence_hash_field_ttl,
            };
            (
                Place::open(
                    &own_presence.r#type,
                    &redis.redis,
                    Partitioning::default(),
                    redis.options.presence_read_from_replica,
                )
                .await?,
                options,
            )
        } else {
            let options = &config.engine.redis.options;
            let options = PresenceOptions {
                ttl: options.presence_ttl,
                user_mapping: options.presence_user_mapping,
                hash_field_ttl: options.presence_hash_field_ttl,
            };
            (engine, options)
        };
        let mut engines = Self::at(&broker_place, uses_lists, &presence_place, presence_options);
        if let Place::Nats(link, history) = broker_place {
            engines.nats = Some((link, history));
        }
        Ok(engines)
    }

    fn at(broker: &Place, uses_lists: bool, presence: &Place, presence_options: PresenceOptions) -> Self {
        let mut sweeper = Sweeper::default();
        let mut probes = Vec::new();
        let name = match (broker.to_string(), presence.to_string()) {
            (both, same) if both == same => both,
            (broker, presence) => format!("broker {broker}, presence {presence}"),
        };
        // What carries publications between nodes carries their messages as well.
        let controller: Option<Arc<dyn Controller>> = match broker {
            Place::Memory => None,
            Place::Redis(shards) => Some(Arc::new(RedisController::new(shards.clone()))),
            Place::Nats(link, _) => Some(Arc::new(NatsController::new(link.clone()))),
        };
        let user_connections = broker
            .redis()
            .or_else(|| presence.redis())
            .map(|shards| Arc::new(RedisUserConnections::new(shards)) as Arc<dyn UserConnections>);
        let broker: Arc<dyn Broker> = match broker {
            Place::Memory => sweeper.broker.insert(Arc::default()).clone(),
            Place::Redis(shards) => {
                let history = if uses_lists {
                    HistoryIn::Lists
                } else {
                    HistoryIn::Streams
                };
                let needs = Needs {
                    streams: !uses_lists,
                    ..Needs::default()
                };
                need(&mut probes, shards, needs);
                Arc::new(RedisBroker::new(shards.clone(), history))
            }
            Place::Nats(link, history) => Arc::new(NatsBroker::new(link.clone(), history.clone())),
        };
        let presence: Arc<dyn PresenceStore> = match presence {
            // NATS keeps no presence: no configuration leads there.
            Place::Memory | Place::Nats(..) => sweeper
                .presence
                .insert(Arc::new(MemoryPresence::new(PRESENCE_TTL)))
                .clone(),
            Place::Redis(shards) => {
                let needs = Needs {
                    hash_field_ttl: presence_options.hash_field_ttl,
                    ..Needs::default()
                };
                need(&mut probes, shards, needs);
                Arc::new(RedisPresence::new(shards.clone(), presence_options))
            }
        };
        Self {
            broker,
            presence,
            controller,
            user_connections,
            name,
            sweeper,
            probes,
            nats: None,
        }
    }

    /// Waits until each server has been tried once, and asks those that are there what they can do. One that is away
    /// is named in the log and does not keep the node from starting.
    ///
    /// # Errors
    /// [`EnginesLack`] for a server that cannot do what the configuration asks of it.
    pub async fn probe(&self) -> Result<(), EnginesLack> {
        for (shards, needs) in &self.probes {
            shards.probe(*needs).await?;
        }
        if let Some((link, history)) = &self.nats {
            link.connected().await;
            if let Some(history) = history {
                history.probe().await?;
            }
        }
        Ok(())
    }
}

/// Both halves may be on the same servers, which then are asked once.
fn need(probes: &mut Vec<(Shards, Needs)>, shards: &Shards, needs: Needs) {
    match probes.iter_mut().find(|(known, _)| known.is_same(shards)) {
        Some((_, known)) => *known = known.and(needs),
        None => probes.push((shards.clone(), needs)),
    }
}

impl Place {
    /// `reads_replicas`: something is read from replicas where they are configured.
    async fn open(
        kind: &str,
        redis: &Redis,
        partitioning: Partitioning,
        reads_replicas: bool,
    ) -> Result<Self, EnginesError> {
        if kind != "redis" {
            return Ok(Self::Memory);
        }
        let mut options = shards(redis)?;
        for shard in &mut options {
            shard.replicas &= reads_replicas;
        }
        let shards = Shards::discover(options, &redis.prefix, partitioning).await;
        Ok(Self::Redis(shards))
    }

    fn nats(options: &Nats) -> Result<Self, EnginesError> {
        let link = Link::open(options)?;
        let history = &options.jetstream;
        let history = history
            .enabled
            .then(|| Arc::new(JetStream::new(link.clone(), history)));
        Ok(Self::Nats(link, history))
    }

    fn redis(&self) -> Option<Shards> {
        match self {
            Self::Memory | Self::Nats(..) => None,
            Self::Redis(shards) => Some(shards.clone()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Redis(shards) => write!(f, "redis, {}", shards.mode()),
            Self::Nats(_, None) => f.write_str("nats"),
            Self::Nats(_, Some(_)) => f.write_str("nats with jetstream"),
        }
    }
}

impl Sweeper {
    pub(super) fn sweep(&self, now: Instant) {
        if let Some(broker) = &self.broker {
            broker.sweep(now);
        }
        if let Some(presence) = &self.presence {
            presence.sweep(now);
        }
    }
}
