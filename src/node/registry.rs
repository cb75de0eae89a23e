//! The connections of a node, by id and by user.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::hub::Handle;

/// All connections, and the authenticated ones by user.
#[derive(Default)]
pub(super) struct Registry {
    state: Mutex<State>,
    emptied: Notify,
}

#[derive(Default)]
struct State {
    open: HashMap<ConnectionKey, Arc<Handle>>,
    users: HashMap<String, HashMap<ConnectionKey, Member>>,
    authenticated: usize,
}

/// Identifies a connection on this node; the random bits of its client id.
pub(super) type ConnectionKey = u128;

#[derive(Clone)]
pub(super) struct Member {
    pub(super) handle: Arc<Handle>,
    /// Session id of emulated connections; empty otherwise.
    pub(super) session: Arc<str>,
}

impl State {
    fn withdraw(&mut self, key: ConnectionKey, user: &str) {
        let Some(members) = self.users.get_mut(user) else {
            return;
        };
        let removed = members.remove(&key).is_some();
        if members.is_empty() {
            self.users.remove(user);
            if self.users.len() < self.users.capacity() / 4 {
                self.users.shrink_to_fit();
            }
        } else if members.len() < members.capacity() / 4 {
            members.shrink_to_fit();
        }
        self.authenticated -= usize::from(removed);
    }
}

impl Registry {
    pub(super) fn open(&self, key: ConnectionKey, handle: Arc<Handle>) {
        self.state.lock().open.insert(key, handle);
    }

    /// Enters an authenticated connection; `false` if the user has `limit` connections already, or if the connection
    /// has gone.
    pub(super) fn authenticate(
        &self,
        key: ConnectionKey,
        user: &str,
        member: Member,
        limit: Option<usize>,
    ) -> bool {
        let mut state = self.state.lock();
        if !state.open.contains_key(&key) {
            return false;
        }
        let members = state.users.entry_ref(user).or_default();
        if !user.is_empty() && limit.is_some_and(|limit| members.len() >= limit) {
            return false;
        }
        members.insert(key, member);
        state.authenticated += 1;
        true
    }

    /// Whether an authenticated connection is entered.
    pub(super) fn has(&self, key: ConnectionKey, user: &str) -> bool {
        let state = self.state.lock();
        state
            .users
            .get(user)
            .is_some_and(|members| members.contains_key(&key))
    }

    /// Key, user and client id of every connection that is not anonymous.
    pub(super) fn clients(&self) -> Vec<(ConnectionKey, String, String)> {
        let state = self.state.lock();
        let named = state.users.iter().filter(|(user, _)| !user.is_empty());
        named
            .flat_map(|(user, members)| {
                members
                    .iter()
                    .map(|(key, member)| (*key, user.clone(), member.handle.client.clone()))
            })
            .collect()
    }

    /// The session has closed: it counts for nothing any more, although its transport may still be saying goodbye.
    pub(super) fn withdraw(&self, key: ConnectionKey, user: &str) {
        self.state.lock().withdraw(key, user);
    }

    /// The transport is gone too.
    pub(super) fn close(&self, key: ConnectionKey, user: &str) {
        let mut state = self.state.lock();
        state.withdraw(key, user);
        state.open.remove(&key);
        if state.open.len() < state.open.capacity() / 4 {
            state.open.shrink_to_fit();
        }
        if state.open.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// The authenticated connections of a user.
    pub(super) fn of_user(&self, user: &str) -> Vec<Member> {
        self.state
            .lock()
            .users
            .get(user)
            .map_or_else(Vec::new, |members| members.values().cloned().collect())
    }

    /// All authenticated connections.
    pub(super) fn authenticated(&self) -> Vec<Member> {
        let state = self.state.lock();
        state
            .users
            .values()
            .flat_map(|members| members.values().cloned())
            .collect()
    }

    pub(super) fn all(&self) -> Vec<Arc<Handle>> {
        self.state.lock().open.values().cloned().collect()
    }

    /// Authenticated connections and distinct users.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.authenticated, state.users.len())
    }

    /// Waits until no connection is left.
    pub(super) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.state.lock().open.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}
