//! Presence of a single node.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::engine::{ClientInfo, PresenceStats, PresenceStore, Wait};

/// Presence entries by channel and client.
pub struct MemoryPresence {
    ttl: Duration,
    channels: Mutex<HashMap<Arc<str>, Members>>,
}

#[derive(Default)]
struct Members {
    clients: HashMap<String, Entry>,
    /// Number of entries of each user: makes counting users cheap.
    users: HashMap<String, u32>,
}

struct Entry {
    info: Arc<ClientInfo>,
    until: Instant,
}

impl MemoryPresence {
    /// A store whose entries vanish when they are not renewed within `ttl`.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            channels: Mutex::default(),
        }
    }

    /// Forgets entries that were not renewed.
    pub fn sweep(&self, now: Instant) {
        self.channels.lock().retain(|_, members| {
            let expired: Vec<String> = members
                .clients
                .iter()
                .filter(|(_, entry)| entry.until <= now)
                .map(|(client, _)| client.clone())
                .collect();
            for client in expired {
                members.remove(&client);
            }
            !members.clients.is_empty()
        });
    }
}

impl Members {
    fn add(&mut self, client: &str, info: Arc<ClientInfo>, until: Instant) {
        if let Some(entry) = self.clients.get_mut(client) {
            *entry = Entry { info, until };
            return;
        }
        *self.users.entry_ref(info.user.as_str()).or_default() += 1;
        self.clients.insert(client.to_owned(), Entry { info, until });
    }

    fn remove(&mut self, client: &str) {
        let Some(entry) = self.clients.remove(client) else {
            return;
        };
        if let Some(count) = self.users.get_mut(&entry.info.user) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(&entry.info.user);
            }
        }
    }
}

impl PresenceStore for MemoryPresence {
    fn add<'a>(&'a self, channel: &'a str, client: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        let until = Instant::now() + self.ttl;
        self.channels
            .lock()
            .entry_ref(channel)
            .or_default()
            .add(client, info, until);
        Box::pin(ready(Ok(())))
    }

    fn remove<'a>(&'a self, channel: &'a str, client: &'a str, _user: &'a str) -> Wait<'a, ()> {
        let mut channels = self.channels.lock();
        if let Some(members) = channels.get_mut(channel) {
            members.remove(client);
            if members.clients.is_empty() {
                channels.remove(channel);
            }
        }
        Box::pin(ready(Ok(())))
    }

    fn presence<'a>(&'a self, channel: &'a str) -> Wait<'a, BTreeMap<String, Arc<ClientInfo>>> {
        let now = Instant::now();
        let entries = self
            .channels
            .lock()
            .get(channel)
            .map_or_else(BTreeMap::new, |members| {
                members
                    .clients
                    .iter()
                    .filter(|(_, entry)| entry.until > now)
                    .map(|(client, entry)| (client.clone(), entry.info.clone()))
                    .collect()
            });
        Box::pin(ready(Ok(entries)))
    }

    fn stats<'a>(&'a self, channel: &'a str) -> Wait<'a, PresenceStats> {
        let stats = self
            .channels
            .lock()
            .get(channel)
            .map_or_else(PresenceStats::default, |members| PresenceStats {
                clients: u32::try_from(members.clients.len()).unwrap_or(u32::MAX),
                users: u32::try_from(members.users.len()).unwrap_or(u32::MAX),
            });
        Box::pin(ready(Ok(stats)))
    }
}
