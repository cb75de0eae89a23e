//! The tokens of users, shared by all of their connections to this node.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::bucket::{Limits, Tokens};

/// Commands of different users rarely meet at one lock.
const SHARDS: usize = 64;

/// Users whose buckets are not full. A user is forgotten by the [sweep](Self::sweep) after the last bucket is: the
/// table holds those who did something within the longest interval, an hour at most, and no others.
pub(super) struct Users {
    hasher: RandomState,
    shards: [Mutex<HashMap<Box<str>, Tokens>>; SHARDS],
}

impl Default for Users {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Users {
    /// Takes a token from each bucket, if all have one.
    pub(super) fn take(&self, user: &str, limits: &Limits<'_>, now: u64) -> bool {
        self.with(user, limits, |tokens| {
            let suffice = tokens.suffice(limits, now);
            if suffice {
                tokens.take(limits, now);
            }
            suffice
        })
    }

    /// Takes a token from each bucket that has one; whether all had.
    pub(super) fn take_what_is_there(&self, user: &str, limits: &Limits<'_>, now: u64) -> bool {
        self.with(user, limits, |tokens| tokens.take_what_is_there(limits, now))
    }

    /// Forgets users whose buckets are full.
    pub(super) fn sweep(&self, now: u64) {
        for shard in &self.shards {
            let mut users = shard.lock();
            users.retain(|_, tokens| !tokens.are_full(now));
            if users.len() < users.capacity() / 4 {
                users.shrink_to_fit();
            }
        }
    }

    /// How many users are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Without a limit there is nothing to remember.
    fn with(&self, user: &str, limits: &Limits<'_>, act: impl FnOnce(&mut Tokens) -> bool) -> bool {
        if limits.iter().all(Option::is_none) {
            return true;
        }
        let index = (self.hasher.hash_one(user) % SHARDS as u64) as usize;
        let Some(shard) = self.shards.get(index) else {
            return true;
        };
        act(shard.lock().entry_ref(user).or_default())
    }
}
