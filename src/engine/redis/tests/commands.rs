//! How many commands what many clients do together costs: at least three times fewer than one by one.

use futures_util::future::join_all;

use super::*;
use crate::engine::{Epoch, PresenceStore, Previous, Receiver};

const CLIENTS: usize = 2000;

struct Nobody;

impl Receiver for Nobody {
    fn handle_publication(&self, _: &str, _: &Arc<Publication>, _: Option<&Epoch>, _: Previous<'_>) {}
    fn handle_join(&self, _: &str, _: &Arc<ClientInfo>) {}
    fn handle_leave(&self, _: &str, _: &Arc<ClientInfo>) {}
    fn has_subscribers(&self, _: &str) -> bool {
        true
    }
    fn handle_restored(&self, _: Vec<Arc<str>>) {}
}

/// Commands that arrived from outside. Redis counts what scripts call in the same way, but scripts call none of these.
async fn commands(server: &Server) -> u64 {
    let calls = server.calls().await;
    let from_outside = [
        "evalsha",
        "eval",
        "subscribe",
        "unsubscribe",
        "script|load",
        "hscan",
        "ping",
    ];
    from_outside.iter().filter_map(|name| calls.get(*name)).sum()
}

/// Runs all, and expects them to need at most a third of `one_by_one` commands.
async fn expect_few<T>(
    server: &Server,
    what: &str,
    one_by_one: usize,
    operations: impl Iterator<Item = impl Future<Output = T>>,
) -> Vec<T> {
    let before = commands(server).await;
    let results = join_all(operations).await;
    let needed = commands(server).await - before;
    println!("{what}: {needed} commands, {one_by_one} one by one");
    assert!(needed * 3 <= one_by_one as u64, "{what}: {needed} commands");
    results
}

#[tokio::test]
async fn operations_of_many_clients_are_few_commands() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let presence = presence(&server, presence_options(true)).await;
    broker.attach(Arc::new(Nobody) as Arc<dyn Receiver>);
    until("broker to listen", async || broker.ready().is_ok()).await;
    let channels: Vec<String> = (0..CLIENTS).map(|number| format!("ch{number}")).collect();
    let (broker, presence) = (&broker, &presence);
    let subscribing = channels.iter().map(|channel| async move {
        broker.subscribe(channel).await.unwrap();
        presence.add(channel, "c", info("u", "c")).await.unwrap();
        broker
            .history(channel, query(Some(300), Some((0, "")), false))
            .await
            .unwrap();
    });
    expect_few(
        &server,
        "subscribing with presence and recovery",
        3 * CLIENTS,
        subscribing,
    )
    .await;
    let renewing = channels
        .iter()
        .map(|channel| presence.add(channel, "c", info("u", "c")));
    expect_few(&server, "renewing presence", CLIENTS, renewing).await;
    let checking = channels
        .iter()
        .map(|channel| broker.history(channel, query(Some(0), None, false)));
    expect_few(&server, "checking positions", CLIENTS, checking).await;
    let publishing = channels
        .iter()
        .map(|channel| broker.publish(channel, publication("x"), keep(9)));
    expect_few(&server, "publishing with history", CLIENTS, publishing).await;
    let one = (0..CLIENTS).map(|number| {
        let client = format!("c{number}");
        async move { presence.add("one", &client, info("u", &client)).await }
    });
    expect_few(&server, "presence of one channel", CLIENTS, one).await;
    let leaving = channels.iter().map(|channel| presence.remove(channel, "c", "u"));
    expect_few(&server, "leaving", CLIENTS, leaving).await;
}
