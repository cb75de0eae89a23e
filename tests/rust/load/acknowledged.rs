//! What was acknowledged is never heard after what was sent upon the acknowledgement, by whomever.

use std::net::SocketAddr;

use serde_json::json;
use tokio::task::JoinSet;

use crate::all;
use crate::kind::{Encoding, KINDS, Kind};
use crate::link::{Buffers, Link};
use crate::message::{Command, Item};
use crate::record::{Pace, Record};
use crate::server::{Api, LoadedServer};

const CHANNEL: &str = "a";
const RELAYS: u32 = 4;
const EACH: u32 = 150;

/// One member of a relay.
enum Runner {
    Backend(Api),
    Client(Box<Link>),
}

impl Runner {
    async fn client(address: SocketAddr, kind: Kind) -> Self {
        Self::Client(Box::new(
            Link::subscribed(address, kind, Buffers::Usual, &[]).await,
        ))
    }

    /// Publishes and waits for the acknowledgement.
    async fn publish(&mut self, item: Item) {
        match self {
            Self::Backend(api) => api.publish(CHANNEL, item).await,
            Self::Client(link) => {
                let id = item.number + 2;
                link.say(&[Command::publish(id, CHANNEL, item)]).await;
                link.reply(id).await;
            }
        }
    }
}

/// Several relays at once: in each, the next runner starts when the last was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_publication_stays_ahead() {
    let server = LoadedServer::start(json!({ "client": { "concurrency": 8 } })).await;
    let mut listening = JoinSet::new();
    for kind in KINDS {
        let mut link = server.subscribed(kind, &[CHANNEL]).await;
        listening.spawn(async move { Record::read(&mut link, Pace::Fast, 1, usize::MAX).await });
    }
    let mut running = JoinSet::new();
    for relay in 0..RELAYS {
        let mut runners = [
            Runner::Backend(server.api().await),
            Runner::client(server.address(), Kind::WebSocket(Encoding::Json)).await,
            Runner::Backend(server.api().await),
            Runner::client(server.address(), Kind::WebTransport(Encoding::Protobuf)).await,
            Runner::client(server.address(), Kind::WebSocket(Encoding::Protobuf)).await,
        ];
        running.spawn(async move {
            for number in 0..EACH {
                let turn = number as usize % runners.len();
                runners[turn].publish(Item::new(relay, number)).await;
            }
        });
    }
    all(running).await;
    server.api().await.publish(CHANNEL, Item::END).await;
    for record in all(listening).await {
        record.assert_complete(&[CHANNEL], RELAYS, EACH);
    }
    server.stop().await;
}
