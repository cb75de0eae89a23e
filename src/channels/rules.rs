//! The rules of all channels: a snapshot of `channel.*` and `client.insecure`.

use std::sync::Arc;

use hashbrown::HashMap;

use super::grant::{Source, SubscriptionExtras, SubscriptionGrant, Wishes};
use super::name::NameSyntax;
use super::options::Namespace;

/// Everything that is configured about channels. Immutable; a reload makes a new one.
#[derive(Clone, Debug, Default)]
pub struct ChannelRules {
    syntax: NameSyntax,
    max_length: Option<usize>,
    insecure: bool,
    without_namespace: Arc<Namespace>,
    namespaces: HashMap<Box<str>, Arc<Namespace>>,
}

/// A channel whose namespace is not configured (error 102).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("unknown channel")]
pub struct UnknownNamespace;

impl ChannelRules {
    /// Rules from their parts. `max_length` is in bytes, `None` for no limit; `without_namespace` applies to
    /// channels without a namespace, `insecure` is `client.insecure`.
    pub fn new(
        syntax: NameSyntax,
        max_length: Option<usize>,
        insecure: bool,
        without_namespace: Namespace,
        namespaces: impl IntoIterator<Item = Namespace>,
    ) -> Self {
        let named = namespaces
            .into_iter()
            .map(|of| (of.name.clone().into_boxed_str(), Arc::new(of)));
        let namespaces = named.collect();
        Self {
            syntax,
            max_length,
            insecure,
            without_namespace: Arc::new(without_namespace),
            namespaces,
        }
    }

    /// The options of a channel. The one question that the server API asks before it acts.
    ///
    /// # Errors
    ///
    /// The name's namespace is not configured.
    pub fn resolve(&self, channel: &str) -> Result<&Arc<Namespace>, UnknownNamespace> {
        match self.syntax.parse(channel).namespace {
            "" => Ok(&self.without_namespace),
            name => self.namespaces.get(name).ok_or(UnknownNamespace),
        }
    }

    /// How names are read.
    #[must_use]
    pub fn syntax(&self) -> &NameSyntax {
        &self.syntax
    }

    /// The subscription that `source` granted to `user`: namespace options, then what the granting side adds or
    /// replaces, then the client's wishes as far as they are permitted and `source` lets them count.
    #[must_use]
    pub fn grant(
        &self,
        namespace: &Namespace,
        source: Source,
        user: &str,
        wishes: Wishes,
        extras: SubscriptionExtras,
    ) -> SubscriptionGrant {
        SubscriptionGrant::merge(namespace, source, extras, wishes, user, self.insecure)
    }

    pub(super) fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    pub(super) fn insecure(&self) -> bool {
        self.insecure
    }
}
