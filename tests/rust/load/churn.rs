//! Connections that come and go in waves leave nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::task::JoinSet;

use crate::kind::{Encoding, KINDS, Kind};
use crate::link::Link;
use crate::message::{Command, Item};
use crate::record::{Pace, Record};
use crate::server::{Api, Counts, LoadedServer};
use crate::{all, turn};

const WAVES: usize = 10;
const WAVE: usize = 300;
/// Clients of a wave that come by every transport; the others by WebSocket.
const MIXED: usize = 56;
/// Growth of the process between the second wave and the last.
const SLACK: f64 = 32e6;

/// Comes, listens, and goes in one of the ways in which clients go.
async fn visit(server: Arc<LoadedServer>, number: usize) {
    let kind = match number % WAVE {
        mixed if mixed < MIXED => KINDS[mixed % KINDS.len()],
        other if other % 2 == 0 => Kind::WebSocket(Encoding::Json),
        _ => Kind::WebSocket(Encoding::Protobuf),
    };
    let (own, group) = (format!("own-{number}"), format!("st:group-{}", number % 20));
    let mut link = server.subscribed(kind, &["shared", &own, &group]).await;
    hear_something(&mut link).await;
    match number % 5 {
        0 | 1 => link.close().await,
        2 if matches!(kind, Kind::WebSocket(_) | Kind::WebTransport(_)) => {
            link.say(&[Command::unsubscribe(9, &own), Command::unsubscribe(10, "shared")])
                .await;
            link.reply(10).await;
            drop(link);
        }
        // With something unread the kernel resets the connection.
        _ => drop(link),
    }
}

async fn hear_something(link: &mut Link) {
    let (channel, _) = link.publication().await;
    assert_eq!(channel, "shared");
}

async fn publish(mut api: Api, is_over: Arc<AtomicBool>) -> u32 {
    for number in 0.. {
        if is_over.load(Ordering::SeqCst) {
            api.publish("shared", Item::END).await;
            return number;
        }
        api.publish("shared", Item::new(0, number)).await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    unreachable!("there are numbers enough")
}

#[tokio::test(flavor = "multi_thread")]
async fn waves_of_connections_leave_nothing_behind() {
    let _turn = turn().await;
    let namespaces = json!([
        { "name": "st", "history_size": 10, "history_ttl": "60s", "force_recovery": true, "presence": true }
    ]);
    let server = Arc::new(LoadedServer::start(json!({ "channel": { "namespaces": namespaces } })).await);
    let mut bystander = server
        .subscribed(Kind::WebSocket(Encoding::Json), &["shared"])
        .await;
    let bystander =
        tokio::spawn(async move { Record::read(&mut bystander, Pace::Fast, 1, usize::MAX).await });
    let is_over = Arc::new(AtomicBool::new(false));
    let mut api = server.api().await;
    // Its connection is accepted, and counts among the open files, when it has been answered.
    api.call("info", json!({})).await;
    let publishing = tokio::spawn(publish(api, is_over.clone()));
    let alone = Counts {
        clients: 1,
        users: 1,
        channels: 1,
        subscriptions: 1,
    };
    assert_eq!(server.counts().await, alone);
    let files = server.metrics().await.open_files();
    let mut resident = 0.0;
    for wave in 0..WAVES {
        let mut visiting = JoinSet::new();
        for number in wave * WAVE..(wave + 1) * WAVE {
            visiting.spawn(visit(server.clone(), number));
        }
        all(visiting).await;
        server
            .until_counts("a wave to be forgotten", |counts| *counts == alone)
            .await;
        if wave == 1 {
            resident = server.metrics().await.resident_bytes();
        }
    }
    server.until_open_files(files).await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("centrifugo_client_connections_inflight", ""), 1.0);
    assert_eq!(metrics.sum("centrifugo_client_subscriptions_inflight", ""), 1.0);
    assert_eq!(
        metrics.sum("centrifugo_client_connections_accepted", "") as usize,
        WAVES * WAVE + 1
    );
    let growth = metrics.resident_bytes() - resident;
    assert!(growth < SLACK, "grew by {growth} bytes");
    let channels = server.api().await.call("channels", json!({})).await;
    assert_eq!(
        channels["result"]["channels"],
        json!({ "shared": { "num_clients": 1 } })
    );

    is_over.store(true, Ordering::SeqCst);
    let published = publishing.await.unwrap();
    bystander
        .await
        .unwrap()
        .assert_complete(&["shared"], 1, published);
    Arc::into_inner(server).expect("nobody else has it").stop().await;
}
