//! Connections of one user to all nodes (`client.user_connection_limit_cluster`).
//!
//! The limit protects a service from a client that runs wild; it is no permission. So while the store cannot be
//! asked, connections are let in: refusing everybody because a count is missing would do more harm than the count
//! prevents. Entries of nodes that died expire, since nobody renews them.

use std::sync::Arc;
use std::time::Duration;

use super::Node;
use super::registry::ConnectionKey;
use crate::engine::UserConnections;

/// Entries renewed together.
const BATCH: usize = 512;

/// Where connections are counted, and how many a user may have.
pub(super) struct CountedUsers {
    store: Arc<dyn UserConnections>,
    limit: usize,
}

impl CountedUsers {
    pub(super) fn new(store: Option<Arc<dyn UserConnections>>, limit: Option<usize>) -> Option<Self> {
        Some(Self {
            store: store?,
            limit: limit?,
        })
    }
}

impl Node {
    /// Counts a connection that has been entered into the registry; `false` if its user has too many. Nothing is
    /// left behind if it has gone meanwhile.
    pub(super) async fn count_user(&self, key: ConnectionKey, user: &str, client: &str) -> bool {
        let Some(counted) = self.user_connections.as_ref().filter(|_| !user.is_empty()) else {
            return true;
        };
        match counted.store.enter(user, client, counted.limit).await {
            Ok(true) => {}
            Ok(false) => {
                self.registry.withdraw(key, user);
                return false;
            }
            Err(error) => {
                tracing::warn!(%client, %user, %error, "connections of a user could not be counted, one is let in");
            }
        }
        if !self.registry.has(key, user) {
            self.discount(user, client).await;
        }
        true
    }

    /// The session has closed: it counts for nothing any more, although its transport may still be saying goodbye.
    pub(super) fn withdraw(&self, key: ConnectionKey, user: &str, client: &str) {
        self.registry.withdraw(key, user);
        if self.user_connections.is_none() || user.is_empty() {
            return;
        }
        let Some(node) = self.me.upgrade() else { return };
        let (user, client) = (user.to_owned(), client.to_owned());
        tokio::spawn(async move { node.discount(&user, &client).await });
    }

    async fn discount(&self, user: &str, client: &str) {
        if let Some(counted) = &self.user_connections
            && let Err(error) = counted.store.leave(user, client).await
        {
            tracing::debug!(%client, %user, %error, "a connection that ended stays counted until it expires");
        }
    }

    /// Keeps the connections of this node counted, until the future is dropped.
    pub async fn renew_users(self: Arc<Self>, interval: Duration) {
        let Some(counted) = &self.user_connections else {
            return;
        };
        loop {
            tokio::time::sleep(interval).await;
            let entries = self.registry.clients();
            for batch in entries.chunks(BATCH) {
                // Those that have left meanwhile must not come back.
                let batch: Vec<_> = batch
                    .iter()
                    .filter(|(key, user, _)| self.registry.has(*key, user))
                    .map(|(_, user, client)| (user.clone(), client.clone()))
                    .collect();
                if let Err(error) = counted.store.renew(&batch).await {
                    tracing::warn!(%error, "counted connections of users could not be renewed");
                    break;
                }
            }
        }
    }
}
