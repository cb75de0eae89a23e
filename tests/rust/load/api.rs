//! The server API while a channel is saturated: it answers, and takes effect in the middle of broadcasts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::all;
use crate::kind::{Encoding, Kind};
use crate::link::{Buffers, Heard, Link};
use crate::message::{Command, Item, Push};
use crate::record::{Pace, Record, assert_part, assert_same};
use crate::server::{Api, LoadedServer};
use crate::support::token;

const BUSY: &str = "busy";
const PUBLISHERS: u32 = 3;
/// Publications under way at any time.
const AHEAD: u32 = 64;
/// Subscribers of each sort.
const EACH: usize = 40;
/// Each who leaves by himself does so this often.
const STAYS: u32 = 25;

const SORTS: [Kind; 4] = [
    Kind::WebSocket(Encoding::Json),
    Kind::WebSocket(Encoding::Protobuf),
    Kind::WebSocket(Encoding::Json),
    Kind::WebTransport(Encoding::Protobuf),
];

/// How far publishing is, and a subscriber who stays.
struct Pressure {
    published: AtomicU32,
    heard: watch::Receiver<u32>,
    is_over: AtomicBool,
}

/// Publishes as fast as the subscriber who stays can hear.
async fn press(mut api: Api, source: u32, pressure: Arc<Pressure>) -> u32 {
    let mut heard = pressure.heard.clone();
    for number in 0.. {
        if pressure.is_over.load(Ordering::SeqCst) {
            return number;
        }
        api.publish(BUSY, Item::new(source, number)).await;
        let published = pressure.published.fetch_add(1, Ordering::SeqCst) + 1;
        let waiting = heard.wait_for(|heard| heard + AHEAD >= published);
        waiting.await.expect("the subscriber that stays");
    }
    unreachable!("there are numbers enough")
}

async fn user(address: SocketAddr, kind: Kind, name: &str) -> Link {
    let token = token(&json!({ "sub": name }));
    let commands = [Command::connect(1, token), Command::subscribe(2, BUSY)];
    let mut link = Link::open(address, kind, Buffers::Usual, &commands).await;
    link.reply(1).await;
    link.reply(2).await;
    link
}

/// Reads until something else than a publication comes.
async fn read(link: &mut Link) -> (Vec<Item>, Result<Push, Heard>) {
    let mut items = Vec::new();
    loop {
        match link.hear().await {
            Heard::Reply(reply) => {
                let push = reply.push.expect("a push");
                match &push.publication {
                    Some(publication) => items.push(publication.item()),
                    None => return (items, Ok(push)),
                }
            }
            end => return (items, Err(end)),
        }
    }
}

/// Hears everything up to a message that ends the subscription, nothing more, and then the end of the connection.
async fn be_sent_away(mut link: Link, is_unsubscribed: bool) -> Vec<Item> {
    let kind = link.kind;
    let (items, mut then) = read(&mut link).await;
    if is_unsubscribed {
        let push = then.unwrap_or_else(|end| panic!("{kind:?}: {end:?}"));
        assert_eq!(
            (push.channel.as_str(), push.unsubscribe.map(|why| why.code)),
            (BUSY, Some(2000))
        );
        let (after, end) = read(&mut link).await;
        assert!(
            after.is_empty(),
            "{kind:?}: {} publications after the unsubscription",
            after.len()
        );
        then = end;
    }
    if matches!(kind, Kind::WebTransport(_)) {
        let disconnect = then.expect("a push").disconnect.expect("a disconnect");
        assert_eq!(disconnect.code, 4000);
        then = Err(link.hear().await);
    }
    assert!(matches!(then, Err(Heard::Close(4000, _))), "{kind:?}: {then:?}");
    items
}

/// Leaves and comes back; what it heard each time.
async fn leave_and_return(mut link: Link) -> Vec<Vec<Item>> {
    let mut stays = vec![Vec::new()];
    for stay in 1..STAYS {
        let stayed = stays.last_mut().unwrap();
        for _ in 0..stay % 5 {
            stayed.push(link.publication().await.1.item());
        }
        let id = 2 * stay + 10;
        link.say(&[Command::unsubscribe(id, BUSY), Command::subscribe(id + 1, BUSY)])
            .await;
        // What was under way when it left.
        loop {
            match link.hear().await {
                Heard::Reply(reply) if reply.id == id => break,
                Heard::Reply(reply) => {
                    stayed.push(reply.push.and_then(|push| push.publication).unwrap().item());
                }
                end => panic!("{end:?}"),
            }
        }
        // Nothing comes between the two replies.
        let Heard::Reply(reply) = link.hear().await else {
            panic!("the end")
        };
        assert_eq!((reply.id, reply.error), (id + 1, None));
        stays.push(Vec::new());
    }
    link.close().await;
    stays
}

/// Unsubscribes, or disconnects, users in the middle of everything.
async fn send_away(mut api: Api, users: Vec<String>) {
    for user in users {
        if user.starts_with("unsubscribed") {
            let answer = api
                .call("unsubscribe", json!({ "user": user, "channel": BUSY }))
                .await;
            assert!(answer["result"].is_object(), "{answer}");
        }
        let reason = json!({ "code": 4000, "reason": "enough" });
        let answer = api
            .call("disconnect", json!({ "user": user, "disconnect": reason }))
            .await;
        assert!(answer["result"].is_object(), "{answer}");
    }
}

/// Asks and publishes as ever, and is heard.
async fn go_about(mut api: Api, mut listener: Link) {
    for number in 0..100 {
        let item = Item::new(9, number);
        api.publish("calm", item).await;
        assert_eq!(listener.publication().await.1.item(), item);
        let info = api.call("info", json!({})).await;
        assert!(
            info["result"]["nodes"][0]["num_clients"].as_u64() > Some(0),
            "{info}"
        );
        let channels = api.call("channels", json!({ "pattern": "bus*" })).await;
        assert!(
            channels["result"]["channels"][BUSY]["num_clients"].as_u64() > Some(0),
            "{channels}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_works_while_a_channel_is_saturated() {
    let server = LoadedServer::start(json!({
        "client": { "queue_max_size": 64 << 20 },
        "websocket": { "write_timeout": "60s" }
    }))
    .await;
    let address = server.address();
    let (tell, heard) = watch::channel(0);
    let mut reference = server.subscribed(Kind::WebSocket(Encoding::Json), &[BUSY]).await;
    let reference = tokio::spawn(async move {
        let mut items = Vec::new();
        while items.last() != Some(&Item::END) {
            items.push(reference.publication().await.1.item());
            let _ = tell.send(u32::try_from(items.len()).unwrap());
        }
        items
    });
    let (mut staying, mut sent_away, mut leaving) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    let mut users = [Vec::new(), Vec::new()];
    for number in 0..EACH {
        let kind = SORTS[number % SORTS.len()];
        let mut link = user(address, kind, "stays").await;
        staying.spawn(async move { Record::read(&mut link, Pace::Fast, 1, usize::MAX).await });
        leaving.spawn(leave_and_return(user(address, kind, "leaves").await));
        for (sort, is_unsubscribed) in [("unsubscribed", true), ("disconnected", false)] {
            let name = format!("{sort}-{number}");
            sent_away.spawn(be_sent_away(user(address, kind, &name).await, is_unsubscribed));
            users[number % 2].push(name);
        }
    }
    let listener = server
        .subscribed(Kind::WebSocket(Encoding::Json), &["calm"])
        .await;

    let pressure = Arc::new(Pressure {
        published: AtomicU32::new(0),
        heard,
        is_over: AtomicBool::new(false),
    });
    let mut pressing = JoinSet::new();
    for source in 0..PUBLISHERS {
        pressing.spawn(press(server.api().await, source, pressure.clone()));
    }
    let mut working = JoinSet::new();
    for users in users {
        working.spawn(send_away(server.api().await, users));
    }
    working.spawn(go_about(server.api().await, listener));
    all(working).await;
    let sent_away = all(sent_away).await;
    let left: Vec<_> = all(leaving).await.into_iter().flatten().collect();
    let remaining = EACH as u64 + 1;
    server
        .until_counts("the others to be forgotten", |counts| {
            (counts.clients, counts.subscriptions, counts.channels) == (remaining, remaining, 1)
        })
        .await;
    pressure.is_over.store(true, Ordering::SeqCst);
    let published: u32 = all(pressing).await.into_iter().sum();
    server.api().await.publish(BUSY, Item::END).await;

    let whole = reference.await.unwrap();
    assert_eq!(whole.len(), published as usize + 1);
    for record in all(staying).await {
        assert_same(BUSY, &record.items[BUSY], &whole);
    }
    for part in sent_away.iter().chain(&left) {
        assert_part(BUSY, part, &whole);
    }
    server.stop().await;
}
