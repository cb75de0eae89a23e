//! Messages between nodes.

use parking_lot::Mutex;

use super::super::RedisController;
use super::*;
use crate::engine::{ControlReceiver, Controller};

#[derive(Default)]
struct Inbox {
    messages: Mutex<Vec<Bytes>>,
    restored: Mutex<usize>,
}

impl ControlReceiver for Inbox {
    fn handle_control(&self, message: Bytes) -> bool {
        self.messages.lock().push(message);
        true
    }

    fn handle_control_restored(&self) {
        *self.restored.lock() += 1;
    }
}

async fn listens(server: &Server, node: &str) {
    until("node to listen", async || {
        let counts: Vec<(String, u64)> = server.run(&format!("PUBSUB NUMSUB p.node.{node}")).await;
        counts.iter().all(|(_, count)| *count > 0)
    })
    .await;
}

#[tokio::test]
async fn messages_reach_one_node_or_all_in_order() {
    let (one, two) = (Server::start().await, Server::start().await);
    let options = vec![one.options(), two.options()];
    let shards = Shards::open(options, PREFIX, Partitioning::default());
    assert_eq!(shards.mode(), "sharded(2):standalone-x2");
    shards.probe(super::super::Needs::default()).await.unwrap();
    let inboxes = [Arc::new(Inbox::default()), Arc::new(Inbox::default())];
    let controllers = [RedisController::new(shards.clone()), RedisController::new(shards)];
    for (index, node) in ["a", "b"].into_iter().enumerate() {
        controllers[index].attach(node, inboxes[index].clone());
        for server in [&one, &two] {
            listens(server, node).await;
        }
    }
    let sending = (0..100).map(|number: u32| {
        let to = number.is_multiple_of(2).then_some("b");
        controllers[0].send(to, number.to_string().into())
    });
    for sent in futures_util::future::join_all(sending).await {
        sent.unwrap();
    }
    until("all to arrive", async || {
        inboxes[1].messages.lock().len() == 100 && inboxes[0].messages.lock().len() == 50
    })
    .await;
    let numbers = |remainder: u32| -> Vec<u32> {
        let messages = inboxes[1].messages.lock();
        let numbers = messages
            .iter()
            .map(|message| std::str::from_utf8(message).unwrap().parse().unwrap());
        numbers.filter(|number: &u32| number % 2 == remainder).collect()
    };
    for remainder in [0, 1] {
        assert!(numbers(remainder).is_sorted(), "swapped");
    }
    // A foreign node.
    let _: i64 = two.run("PUBLISH p.control x").await;
    until("it to arrive", async || {
        inboxes[0].messages.lock().last() == Some(&Bytes::from_static(b"x"))
    })
    .await;
}

#[tokio::test]
async fn while_a_shard_is_away_another_one_carries() {
    let (one, two) = (Server::start().await, Server::start().await);
    let options = vec![one.options(), two.options()];
    let shards = Shards::open(options, PREFIX, Partitioning::default());
    shards.probe(super::super::Needs::default()).await.unwrap();
    let inbox = Arc::new(Inbox::default());
    let controller = RedisController::new(shards);
    controller.attach("a", inbox.clone());
    for server in [&one, &two] {
        listens(server, "a").await;
    }
    drop(one);
    // Messages to all go to one of the shards, to this node to another, maybe: both must arrive.
    until("messages to be accepted", async || {
        controller.send(None, "all".into()).await.is_ok()
            && controller.send(Some("a"), "one".into()).await.is_ok()
    })
    .await;
    until("both to arrive", async || {
        let messages = inbox.messages.lock();
        messages.contains(&Bytes::from_static(b"all")) && messages.contains(&Bytes::from_static(b"one"))
    })
    .await;
}

#[tokio::test]
async fn a_node_that_may_not_listen_is_not_ready() {
    let server = Server::start().await;
    let shards = shards(&server).await;
    let _: () = server
        .run("ACL SETUSER default resetchannels &p.shard.* &p.node.*")
        .await;
    let controller = RedisController::new(shards);
    controller.attach("a", Arc::new(Inbox::default()));
    until("the reason", async || {
        let error = controller.ready().err();
        error.is_some_and(|error| error.to_string().contains("NOPERM"))
    })
    .await;
    assert!(controller.inbound().unwrap().errors.subscribe > 0);
    let _: () = server.run("ACL SETUSER default allchannels").await;
    listens(&server, "a").await;
    until("the node to be ready", async || controller.ready().is_ok()).await;
}

#[tokio::test]
async fn an_interruption_is_told() {
    let server = Server::start().await;
    let inbox = Arc::new(Inbox::default());
    let controller = RedisController::new(shards(&server).await);
    controller.attach("a", inbox.clone());
    listens(&server, "a").await;
    let _: i64 = server.run("CLIENT KILL TYPE pubsub").await;
    until("it to be told", async || *inbox.restored.lock() > 0).await;
    controller.send(None, "x".into()).await.unwrap();
    until("it to arrive", async || !inbox.messages.lock().is_empty()).await;
}
