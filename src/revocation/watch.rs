//! Which sessions live on which token.
//!
//! A table of hashes instead of names: sixteen bytes per token in use. Tokens whose hashes are the same are told of
//! each other's revocation, which costs a look; what is revoked, the session compares by name.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::hub::{Event, Handle};

/// Sessions by the ids of their tokens.
#[derive(Default)]
pub(super) struct Watched {
    hasher: RandomState,
    sessions: Mutex<HashTable<(u64, Arc<Handle>)>>,
}

/// A token that a session lives on. Dropping it ends that.
pub(super) struct Watch {
    watched: Arc<Watched>,
    id: Box<str>,
    session: Arc<Handle>,
}

impl Watched {
    /// Has the sessions that live on a token ask again.
    pub(super) fn tell(&self, id: &str) {
        let hash = self.hasher.hash_one(id);
        // Collected first: to post may wake a session, whose thread may then want the lock.
        let concerned: Vec<_> = self
            .sessions
            .lock()
            .iter_hash(hash)
            .filter(|(of, _)| *of == hash)
            .map(|(_, session)| session.clone())
            .collect();
        for session in concerned {
            session.mailbox.post(Event::TokensRevoked);
        }
    }

    /// Tokens in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sessions.lock().len()
    }
}

impl Watch {
    pub(super) fn new(watched: &Arc<Watched>, id: String, session: &Arc<Handle>) -> Self {
        let hash = watched.hasher.hash_one(id.as_str());
        let mut sessions = watched.sessions.lock();
        sessions.insert_unique(hash, (hash, session.clone()), |(hash, _)| *hash);
        drop(sessions);
        Self {
            watched: watched.clone(),
            id: id.into(),
            session: session.clone(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let hash = self.watched.hasher.hash_one(&*self.id);
        let mut sessions = self.watched.sessions.lock();
        let is_own = |(of, session): &(u64, Arc<Handle>)| *of == hash && Arc::ptr_eq(session, &self.session);
        if let Ok(entry) = sessions.find_entry(hash, is_own) {
            entry.remove();
        }
        if sessions.len() < sessions.capacity() / 4 {
            sessions.shrink_to_fit(|(hash, _)| *hash);
        }
    }
}
