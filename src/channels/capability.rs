//! Capabilities: what a token or a proxy allows one connection, beside what namespaces allow everybody
//! (channels-and-auth.md 7.1).
//!
//! A capability only grants. Whoever holds several may do what any of them allows, so their order means nothing.
//! One that cannot be understood (an unknown kind of match, an expression that does not compile) grants nothing
//! and spoils nothing else.
//!
//! A connection keeps the text of its capabilities and no compiled expression: see [`Expressions`].

use super::expressions::Expressions;
use super::permission::Operation;
use super::wildcard::Wildcard;

/// A set of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Operations(u8);

impl Operations {
    /// No operation.
    pub const NONE: Self = Self(0);

    /// The operations of these names: `sub`, `pub`, `hst` and `prs`. Others may be meant for other versions and
    /// are ignored.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = names.into_iter().filter_map(|name| match name {
            "sub" => Some(Operation::Subscribe),
            "pub" => Some(Operation::Publish),
            "hst" => Some(Operation::History),
            "prs" => Some(Operation::Presence),
            _ => None,
        });
        known.fold(Self::default(), Self::with)
    }

    /// The set with one more operation.
    #[must_use]
    pub fn with(self, operation: Operation) -> Self {
        Self(self.0 | Self::bit(operation))
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the operation is in the set.
    #[must_use]
    pub fn contains(self, operation: Operation) -> bool {
        self.0 & Self::bit(operation) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(operation: Operation) -> u8 {
        1 << operation as u8
    }
}

/// The capabilities of a connection: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities(Box<[Capability]>);

/// Operations, and the channels in which they are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    allow: Operations,
    channels: Channels,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Channels {
    Exactly(Box<[Box<str>]>),
    Like(Box<[Wildcard]>),
    Matching(Box<[Box<str>]>),
}

impl Capability {
    /// A capability as it is written: `kind` is its `match`. `None` if it grants nothing, whatever it is asked.
    pub fn new(channels: Vec<String>, kind: &str, allow: Operations) -> Option<Self> {
        if allow.is_empty() || channels.is_empty() {
            return None;
        }
        let boxed = |channels: Vec<String>| channels.into_iter().map(String::into_boxed_str).collect();
        let like = |read: fn(&str) -> Option<Wildcard>| channels.iter().filter_map(|of| read(of)).collect();
        let channels = match kind {
            "" => Channels::Exactly(boxed(channels)),
            "wildcard" => Channels::Like(like(Wildcard::flat)),
            "doublestar" => Channels::Like(like(Wildcard::paths)),
            "regex" => Channels::Matching(boxed(channels)),
            _ => return None,
        };
        Some(Self { allow, channels })
    }
}

impl Capabilities {
    /// The capabilities that grant something; `None` if none does.
    pub fn new(capabilities: impl IntoIterator<Item = Capability>) -> Option<Self> {
        let all: Box<[Capability]> = capabilities.into_iter().collect();
        (!all.is_empty()).then_some(Self(all))
    }

    /// Whether one of them allows the operation in the channel.
    pub(super) fn allow(&self, operation: Operation, channel: &str, expressions: &Expressions) -> bool {
        let mut candidates = self.0.iter().filter(|of| of.allow.contains(operation));
        candidates.any(|of| match &of.channels {
            Channels::Exactly(names) => names.iter().any(|name| **name == *channel),
            Channels::Like(wildcards) => wildcards.iter().any(|wildcard| wildcard.is_match(channel)),
            Channels::Matching(texts) => texts.iter().any(|text| expressions.is_match(text, channel)),
        })
    }
}
