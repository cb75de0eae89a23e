//! The suite for presence stores.

use std::sync::Arc;

use futures_util::future::join_all;
use tidegate::engine::{ClientInfo, PresenceStats, PresenceStore};

use crate::kit::{PresenceKit, eventually};

/// Everything.
pub async fn suite(kit: PresenceKit) {
    let store = (kit.store)().await;
    eventually("a store that is ready", async || store.ready().ok()).await;
    let other = if kit.is_shared {
        (kit.store)().await
    } else {
        store.clone()
    };
    eventually("a store that is ready", async || other.ready().ok()).await;
    entries_come_and_go(&*store, &*other).await;
    entries_end_unless_they_are_renewed(&*store).await;
    the_last_word_counts(&*store).await;
    many_are_present(&*store, &*other).await;
}

pub fn info(user: &str, client: &str) -> Arc<ClientInfo> {
    Arc::new(ClientInfo {
        user: user.to_owned(),
        client: client.to_owned(),
        conn_info: br#"{"n":1}"#.as_slice().into(),
        ..ClientInfo::default()
    })
}

async fn entries_come_and_go(store: &dyn PresenceStore, other: &dyn PresenceStore) {
    let channel = "suite:come-and-go";
    assert!(store.presence(channel).await.unwrap().is_empty());
    assert_eq!(store.stats(channel).await.unwrap(), PresenceStats::default());
    for (user, client) in [("1", "a"), ("1", "b"), ("2", "c")] {
        store.add(channel, client, info(user, client)).await.unwrap();
    }
    let present = other.presence(channel).await.unwrap();
    assert_eq!(present.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(present["b"], info("1", "b"));
    assert_eq!(
        other.stats(channel).await.unwrap(),
        PresenceStats { clients: 3, users: 2 }
    );
    store.add(channel, "a", info("1", "a")).await.unwrap();
    assert_eq!(
        store.stats(channel).await.unwrap(),
        PresenceStats { clients: 3, users: 2 }
    );
    other.remove(channel, "c", "2").await.unwrap();
    store.remove(channel, "never-there", "9").await.unwrap();
    assert_eq!(
        store.stats(channel).await.unwrap(),
        PresenceStats { clients: 2, users: 1 }
    );
    store.remove(channel, "a", "1").await.unwrap();
    store.remove(channel, "b", "1").await.unwrap();
    assert_eq!(store.stats(channel).await.unwrap(), PresenceStats::default());
    assert!(store.presence(channel).await.unwrap().is_empty());
}

async fn entries_end_unless_they_are_renewed(store: &dyn PresenceStore) {
    let channel = "suite:leases";
    store.add(channel, "a", info("1", "a")).await.unwrap();
    store.add(channel, "b", info("2", "b")).await.unwrap();
    eventually("the end of an entry", async || {
        store.add(channel, "a", info("1", "a")).await.unwrap();
        let present = store.presence(channel).await.unwrap();
        assert!(present.contains_key("a"));
        (!present.contains_key("b")).then_some(())
    })
    .await;
    eventually("the end of both", async || {
        (store.stats(channel).await.unwrap().clients == 0).then_some(())
    })
    .await;
}

/// Futures that are polled in an order take effect in it.
async fn the_last_word_counts(store: &dyn PresenceStore) {
    let channel = "suite:order";
    for _ in 0..50 {
        let (added, removed, again) = tokio::join!(
            biased;
            store.add(channel, "a", info("1", "a")),
            store.remove(channel, "a", "1"),
            store.add(channel, "a", info("1", "a")),
        );
        added.unwrap();
        removed.unwrap();
        again.unwrap();
        assert_eq!(store.stats(channel).await.unwrap().clients, 1);
        let (removed, added, again) = tokio::join!(
            biased;
            store.remove(channel, "a", "1"),
            store.add(channel, "a", info("1", "a")),
            store.remove(channel, "a", "1"),
        );
        removed.unwrap();
        added.unwrap();
        again.unwrap();
        assert_eq!(store.stats(channel).await.unwrap().clients, 0);
    }
}

async fn many_are_present(store: &dyn PresenceStore, other: &dyn PresenceStore) {
    const COUNT: u32 = 5000;
    let channel = "suite:many";
    let renew = || async {
        let adding = (0..COUNT).map(|index| {
            let client = format!("client-{index}");
            async move {
                store
                    .add(channel, &client, info(&(index % 100).to_string(), &client))
                    .await
            }
        });
        for added in join_all(adding).await {
            added.unwrap();
        }
    };
    // Entries of this suite live for two seconds, which a busy machine may take to make them.
    eventually("everybody at once", async || {
        renew().await;
        let stats = other.stats(channel).await.unwrap();
        let present = other.presence(channel).await.unwrap();
        (stats
            == PresenceStats {
                clients: COUNT,
                users: 100,
            }
            && present.len() == COUNT as usize)
            .then_some(())
    })
    .await;
}
