//! The engine on a real server, seen from beside it: which keys there are, what is in them, and what a foreign node
//! on the same Redis gets and sends.

mod commands;
mod controller;
mod history;
mod lists;
mod pages;
mod presence;
#[path = "../../../../redis-link/tests/support/programs.rs"]
mod programs;
mod receiving;
mod server;
mod streams;
mod users;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{HistoryIn, Partitioning, PresenceOptions, RedisBroker, RedisPresence, Shards};
use crate::engine::{
    Broker, ClientInfo, HistoryQuery, Position, Publication, PublishOptions, Published, Retention, Since,
};
use server::Server;

const PREFIX: &str = "p";

/// Waits until something is so. A test that waits for ever has failed.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

async fn shards(server: &Server) -> Shards {
    let shards = Shards::open(vec![server.options()], PREFIX, Partitioning::default());
    shards.probe(super::Needs::default()).await.unwrap();
    shards
}

async fn broker(server: &Server, history: HistoryIn) -> RedisBroker {
    RedisBroker::new(shards(server).await, history)
}

fn publication(data: &str) -> Publication {
    Publication {
        data: Bytes::copy_from_slice(data.as_bytes()),
        time_ms: 1,
        ..Publication::default()
    }
}

/// What is stored of [`publication`].
fn stored(data: &str) -> Vec<u8> {
    let mut bytes = vec![0x22, u8::try_from(data.len()).unwrap()];
    bytes.extend_from_slice(data.as_bytes());
    bytes.extend_from_slice(b"\x48\x01");
    bytes
}

fn keep(size: usize) -> PublishOptions {
    PublishOptions {
        retention: Some(Retention {
            size,
            ttl: Duration::from_secs(300),
            meta_ttl: Duration::from_secs(3600),
        }),
        ..PublishOptions::default()
    }
}

fn query(limit: Option<usize>, since: Option<(u64, &str)>, reverse: bool) -> HistoryQuery {
    HistoryQuery {
        limit,
        since: since.map(|(offset, epoch)| Since {
            offset,
            epoch: epoch.to_owned(),
        }),
        reverse,
        meta_ttl: Duration::from_secs(3600),
    }
}

fn info(user: &str, client: &str) -> Arc<ClientInfo> {
    Arc::new(ClientInfo {
        user: user.to_owned(),
        client: client.to_owned(),
        ..ClientInfo::default()
    })
}

/// Publishes and expects it to be accepted at a position.
async fn publish(broker: &RedisBroker, channel: &str, data: &str, options: PublishOptions) -> Position {
    match broker.publish(channel, publication(data), options).await.unwrap() {
        Published {
            position: Some(position),
            suppressed: None,
        } => position,
        other => panic!("{other:?}"),
    }
}

fn presence_options(user_mapping: bool) -> PresenceOptions {
    PresenceOptions {
        ttl: Duration::from_secs(60),
        user_mapping,
        hash_field_ttl: false,
    }
}

async fn presence(server: &Server, options: PresenceOptions) -> RedisPresence {
    RedisPresence::new(shards(server).await, options)
}
