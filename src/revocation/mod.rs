//! What the server was told to refuse although its signature is good: blocked users, revoked tokens, tokens that
//! were issued too early (channels-and-auth.md 7.3).
//!
//! An entry takes effect twice. New connections, subscriptions and refreshes ask before they are granted
//! ([`Revocations::is_blocked`], [`Revocations::has_revoked`]). Live ones are *told to ask again*, by an event
//! without content: each session knows which tokens it lives on, and this module knows for every token with an id
//! (`jti`) which sessions do ([`watch`]); the sessions of a user are found by the node. An entry is made before
//! anybody is told, and a session asks again after it can be told, so none falls between the two.
//!
//! | Refused | at connect | by refresh | live |
//! |---|---|---|---|
//! | user | 3507 | 3507 | 3507 |
//! | connection token | error 109 | 3014 | 3014 |
//! | subscription token | error 109 | error 109, temporary | unsubscribe 2502 |
//!
//! The codes are chosen by what SDKs do about them. To a blocked user every answer must be final, so that no client
//! comes back in a loop; of the final codes 3507 says why, and the same code at both moments lets an application
//! handle them in one place, apart from 3503, by which a backend closes connections that may come back. A revoked
//! token must make the SDK fetch another: 109 does at connect and subscribe, 3014 and 2502 have it forget the
//! token before it comes back, which 3005 does not.
//!
//! Entries live in the memory of this node until they expire, at most [`MAX_ENTRIES`] of each kind; one more is
//! refused, for to forget another in silence would let somebody in. A repeated entry never shortens what an earlier
//! one said.

mod table;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use crate::hub::Handle;
use table::Expiring;
pub use table::{Full, MAX_ENTRIES};
use watch::{Watch, Watched};

/// Everything that is refused. Times are Unix seconds.
#[derive(Default)]
pub struct Revocations {
    users: Expiring,
    tokens: Expiring,
    /// By user: connection tokens issued before.
    issued_before: Expiring,
    /// By user and channel: subscription tokens issued before.
    issued_before_in: Expiring,
    watched: Arc<Watched>,
}

/// When an entry ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// At this time.
    Time(i64),
    /// With the process.
    Forever,
}

/// What a session keeps of a token that it lives on, so that the token can be refused later. A token without `jti`
/// and `iat` leaves nothing.
#[derive(Default)]
pub struct TokenTrace {
    id: Option<Box<Watch>>,
    issued_at: Option<i64>,
}

impl Revocations {
    /// Refuses a user. Live connections are not told: that is up to whoever knows them.
    ///
    /// # Errors
    /// There are too many entries; nothing has changed.
    pub fn block(&self, user: &str, until: Until, now: i64) -> Result<(), Full> {
        self.users.raise(user, until, 0, now)
    }

    /// Lets a user in again.
    pub fn unblock(&self, user: &str) {
        self.users.remove(user);
    }

    /// Refuses the token of an id, and tells the sessions that live on it.
    ///
    /// # Errors
    /// There are too many entries; nothing has changed.
    pub fn revoke(&self, id: &str, until: Until, now: i64) -> Result<(), Full> {
        self.tokens.raise(id, until, 0, now)?;
        self.watched.tell(id);
        Ok(())
    }

    /// Refuses a user's tokens that were issued before a time: those for connections, or with a channel those for
    /// subscriptions to it. Live connections are not told.
    ///
    /// # Errors
    /// There are too many entries; nothing has changed.
    pub fn invalidate(
        &self,
        user: &str,
        channel: Option<&str>,
        issued_before: i64,
        until: Until,
        now: i64,
    ) -> Result<(), Full> {
        match channel {
            None => self.issued_before.raise(user, until, issued_before, now),
            Some(channel) => {
                let key = pair(user, channel);
                self.issued_before_in.raise(&key, until, issued_before, now)
            }
        }
    }

    /// Whether a user is refused.
    #[must_use]
    pub fn is_blocked(&self, user: &str, now: i64) -> bool {
        self.users.get(user, now).is_some()
    }

    /// What a session is to keep of a token.
    #[must_use]
    pub fn trace(&self, id: Option<String>, issued_at: Option<i64>, session: &Arc<Handle>) -> TokenTrace {
        let id = id.filter(|id| !id.is_empty());
        TokenTrace {
            id: id.map(|id| Box::new(Watch::new(&self.watched, id, session))),
            issued_at,
        }
    }

    /// Whether a token of a user is refused: one for connections, or one for subscriptions to a channel. A token
    /// without `iat` was issued at no known time, and so not too early.
    #[must_use]
    pub fn has_revoked(&self, token: &TokenTrace, user: &str, channel: Option<&str>, now: i64) -> bool {
        let by_id = token.id.as_ref().map(|watch| watch.id());
        if by_id.is_some_and(|id| self.tokens.get(id, now).is_some()) {
            return true;
        }
        let Some(issued_at) = token.issued_at else {
            return false;
        };
        let issued_before = match channel {
            None => self.issued_before.get(user, now),
            Some(_) if self.issued_before_in.is_empty() => None,
            Some(channel) => self.issued_before_in.get(&pair(user, channel), now),
        };
        issued_before.is_some_and(|before| issued_at < before)
    }

    /// Forgets entries that have expired.
    pub fn sweep(&self, now: i64) {
        for entries in [
            &self.users,
            &self.tokens,
            &self.issued_before,
            &self.issued_before_in,
        ] {
            entries.sweep(now);
        }
    }
}

impl Until {
    /// From a request, in which 0 and a missing field are the same.
    #[must_use]
    pub fn from_wire(expire_at: i64) -> Self {
        match expire_at {
            0 => Self::Forever,
            time => Self::Time(time),
        }
    }

    fn is_over(self, now: i64) -> bool {
        matches!(self, Self::Time(time) if time <= now)
    }
}

impl TokenTrace {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.issued_at.is_none()
    }
}

/// Two names as one, which no other two make.
fn pair(user: &str, channel: &str) -> String {
    format!("{}:{user}{channel}", user.len())
}
