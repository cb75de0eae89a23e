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
//! Entries live in the memory of each node until they expire, at most [`MAX_ENTRIES`] of each kind; one more is
//! refused, for to forget another in silence would let somebody in. A repeated entry never shortens what an earlier
//! one said. Nodes tell each other what was decided ([`Refusal`]), and who comes later reads it from one of them, piece
//! by piece ([`Revocations::page`]). It makes no difference how often and in which order a node learns of that, with one
//! exception: of a user who was blocked, let in, and blocked for a shorter time, the longer block counts at a node that
//! hears of the blocks first.

mod refusal;
mod table;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use crate::hub::Handle;
pub use refusal::{Place, Refusal, Refusals};
use table::Expiring;
pub use table::{Full, MAX_ENTRIES};
use watch::{Watch, Watched};

/// Seconds for which it is remembered that a user was let in again: for nodes that have not heard of it.
const REMEMBERED: i64 = 24 * 3600;

/// Everything that is refused. Times are Unix seconds.
#[derive(Default)]
pub struct Revocations {
    /// When that was decided, Unix milliseconds.
    users: Expiring,
    /// Users that were let in again, and when that was decided.
    reprieves: Expiring,
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
    /// Makes the entry of a refusal, or takes one away. Sessions that live on a token with the id of a refused one are
    /// told; those of users are not: that is up to whoever knows them.
    ///
    /// # Errors
    /// There are too many entries; nothing has changed. Letting a user in never fails.
    pub fn take(&self, refusal: &Refusal, now: i64) -> Result<(), Full> {
        match refusal {
            Refusal::User {
                user,
                until,
                decided_ms,
            } => {
                let let_in = self.reprieves.get(user, now);
                if let_in.is_some_and(|let_in| let_in >= *decided_ms) {
                    return Ok(());
                }
                self.users.raise(user, *until, *decided_ms, now)
            }
            Refusal::Reprieve {
                user,
                until,
                decided_ms,
            } => {
                self.users.remove_up_to(user, *decided_ms);
                // Without room for it, an older block that is still on its way counts; no reason to keep anybody out.
                let _ = self.reprieves.raise(user, *until, *decided_ms, now);
                Ok(())
            }
            Refusal::Token { id, until } => {
                self.tokens.raise(id, *until, 0, now)?;
                self.watched.tell(id);
                Ok(())
            }
            Refusal::Tokens {
                user,
                channel,
                until,
                issued_before,
            } => match channel {
                None => self.issued_before.raise(user, *until, *issued_before, now),
                Some(channel) => {
                    let key = pair(user, channel);
                    self.issued_before_in.raise(&key, *until, *issued_before, now)
                }
            },
        }
    }

    /// The decision to refuse a user, after all that are known.
    #[must_use]
    pub fn block(&self, user: &str, until: Until, now_ms: i64) -> Refusal {
        let let_in = self.reprieves.get(user, now_ms.div_euclid(1000));
        Refusal::User {
            user: user.to_owned(),
            until,
            decided_ms: let_in.map_or(now_ms, |let_in| now_ms.max(let_in.saturating_add(1))),
        }
    }

    /// The decision to let a user in again, after all that are known.
    #[must_use]
    pub fn unblock(&self, user: &str, now_ms: i64) -> Refusal {
        let now = now_ms.div_euclid(1000);
        let blocked = self.users.get(user, now);
        Refusal::Reprieve {
            user: user.to_owned(),
            until: Until::Time(now.saturating_add(REMEMBERED)),
            decided_ms: blocked.map_or(now_ms, |blocked| now_ms.max(blocked)),
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
        for entries in self.tables() {
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

    fn to_wire(self) -> i64 {
        match self {
            Self::Forever => 0,
            Self::Time(time) => time,
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

/// The names of a [`pair`].
fn unpair(pair: &str) -> Option<(&str, &str)> {
    let (length, both) = pair.split_once(':')?;
    both.split_at_checked(length.parse().ok()?)
}
