//! What a channel's name means and who may do what in it (channels-and-auth.md 1, 3, 6).
//!
//! A [`ChannelRules`] is a snapshot of the configuration: immutable, built once per start or reload, asked from
//! every session. It decides and does not act. Each question is one function whose answer says what remains to
//! be done ("ask this proxy", "verify the token first") or why nothing will be, as a [`Denial`] that carries
//! its error code and its line for the log. No question allocates unless the answer is a grant.
//!
//! The order of the checks inside a function is the one that clients observe and must stay as it is: which of
//! two reasons a client is told decides whether its SDK retries.

mod capability;
mod expressions;
mod format;
mod glob;
mod grant;
mod name;
mod options;
mod patterns;
mod permission;
mod resolve;
mod rules;
#[cfg(test)]
mod tests;
mod wildcard;

pub use crate::config::RecoveryMode;
pub use capability::{Capabilities, Capability, Operations};
pub use format::DataFormat;
pub use glob::{Glob, MalformedGlob};
pub use grant::{Overrides, Source, SubscriptionExtras, SubscriptionGrant, Wishes};
pub use name::{ChannelName, NameSyntax};
pub use options::{Access, Batching, Namespace, StreamProxy, SubscriptionType};
pub use permission::{
    Denial, Operation, PublishDecision, PublishQuery, ReadQuery, Route, SubscribeDecision, SubscribeQuery,
};
pub use resolve::InvalidChannels;
pub use rules::{ChannelRules, UnknownNamespace};
