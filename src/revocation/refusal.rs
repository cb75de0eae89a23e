//! What nodes tell each other of what is refused.

use bytes::Bytes;
use prost::Message;

use super::table::Expiring;
use super::{Revocations, Until, pair, unpair};
use crate::cluster::message;

/// A decision to refuse something, or not to refuse it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A user.
    User {
        /// Who it is.
        user: String,
        /// How long.
        until: Until,
        /// Unix milliseconds: the later of two decisions on a user counts.
        decided_ms: i64,
    },
    /// A user is let in again.
    Reprieve {
        /// Who it is.
        user: String,
        /// How long that is to be remembered.
        until: Until,
        /// As above. At the same time this counts.
        decided_ms: i64,
    },
    /// A token.
    Token {
        /// Its `jti`.
        id: String,
        /// How long.
        until: Until,
    },
    /// The tokens of a user that were issued before a time.
    Tokens {
        /// Whose they are.
        user: String,
        /// Those for subscriptions to it; `None` for those of connections.
        channel: Option<String>,
        /// How long.
        until: Until,
        /// Unix seconds, compared with `iat`.
        issued_before: i64,
    },
}

/// Where to go on reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    table: u32,
    after: String,
}

/// A piece of all that is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// What is refused.
    pub refusals: Vec<Refusal>,
    /// Where the next piece begins; `None` after the last.
    pub next: Option<Place>,
    /// Whoever says this has not learnt everything himself.
    pub is_partial: bool,
}

/// Tables in the order in which they are read; the numbers are told to other nodes.
const USERS: u32 = 0;
const REPRIEVES: u32 = 1;
const TOKENS: u32 = 2;
const ISSUED_BEFORE: u32 = 3;
const ISSUED_BEFORE_IN: u32 = 4;

impl Revocations {
    pub(super) fn tables(&self) -> [&Expiring; 5] {
        [
            &self.users,
            &self.reprieves,
            &self.tokens,
            &self.issued_before,
            &self.issued_before_in,
        ]
    }

    /// What is refused from a place on, at most `limit` entries, and where to go on. What is decided while somebody
    /// reads may be missing.
    #[must_use]
    pub fn page(&self, place: &Place, limit: usize, now: i64) -> (Vec<Refusal>, Option<Place>) {
        let mut refusals = Vec::new();
        let mut after = place.after.as_str();
        for (number, table) in (0_u32..).zip(self.tables()) {
            if number < place.table {
                continue;
            }
            let entries = table.page(after, limit - refusals.len(), now);
            after = "";
            let last = entries.last().map(|(name, ..)| name.clone());
            let found = entries
                .into_iter()
                .filter_map(|(name, until, value)| Refusal::of_entry(number, name, until, value));
            refusals.extend(found);
            if let Some(last) = last
                && refusals.len() >= limit
            {
                let next = Place {
                    table: number,
                    after: last,
                };
                return (refusals, Some(next));
            }
        }
        (refusals, None)
    }
}

impl Refusal {
    fn of_entry(table: u32, name: String, until: Until, value: i64) -> Option<Self> {
        Some(match table {
            USERS => Self::User {
                user: name,
                until,
                decided_ms: value,
            },
            REPRIEVES => Self::Reprieve {
                user: name,
                until,
                decided_ms: value,
            },
            TOKENS => Self::Token { id: name, until },
            ISSUED_BEFORE => Self::Tokens {
                user: name,
                channel: None,
                until,
                issued_before: value,
            },
            ISSUED_BEFORE_IN => {
                let (user, channel) = unpair(&name)?;
                Self::Tokens {
                    user: user.to_owned(),
                    channel: Some(channel.to_owned()),
                    until,
                    issued_before: value,
                }
            }
            _ => return None,
        })
    }

    /// Table, name, end and value.
    fn entry(&self) -> (u32, String, Until, i64) {
        match self {
            Self::User {
                user,
                until,
                decided_ms,
            } => (USERS, user.clone(), *until, *decided_ms),
            Self::Reprieve {
                user,
                until,
                decided_ms,
            } => (REPRIEVES, user.clone(), *until, *decided_ms),
            Self::Token { id, until } => (TOKENS, id.clone(), *until, 0),
            Self::Tokens {
                user,
                channel,
                until,
                issued_before,
            } => match channel {
                None => (ISSUED_BEFORE, user.clone(), *until, *issued_before),
                Some(channel) => (ISSUED_BEFORE_IN, pair(user, channel), *until, *issued_before),
            },
        }
    }
}

impl Refusals {
    /// The bytes of a piece.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let entries = self.refusals.iter().map(|refusal| {
            let (table, name, until, value) = refusal.entry();
            message::Refusal {
                table,
                name,
                until: until.to_wire(),
                value,
            }
        });
        let piece = message::Refusals {
            refusals: entries.collect(),
            next: self.next.as_ref().map(Place::to_wire),
            is_partial: self.is_partial,
        };
        piece.encode_to_vec().into()
    }

    /// Reads a piece; `None` if it is none. Kinds of refusals that are not known are left out: a newer node may have
    /// some.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        let piece = message::Refusals::decode(bytes).ok()?;
        let refusals = piece.refusals.into_iter().filter_map(|entry| {
            let until = Until::from_wire(entry.until);
            let is_named = !entry.name.is_empty();
            is_named.then(|| Refusal::of_entry(entry.table, entry.name, until, entry.value))?
        });
        Some(Self {
            refusals: refusals.collect(),
            next: piece.next.map(Place::of_wire),
            is_partial: piece.is_partial,
        })
    }
}

impl Place {
    /// The bytes of a place.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.to_wire().encode_to_vec().into()
    }

    /// Reads a place; `None` if it is none.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        message::RefusalPlace::decode(bytes).ok().map(Self::of_wire)
    }

    /// Whether reading goes on behind another place.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        (self.table, &self.after) > (other.table, &other.after)
    }

    fn to_wire(&self) -> message::RefusalPlace {
        message::RefusalPlace {
            table: self.table,
            after: self.after.clone(),
        }
    }

    fn of_wire(place: message::RefusalPlace) -> Self {
        Self {
            table: place.table,
            after: place.after,
        }
    }
}
