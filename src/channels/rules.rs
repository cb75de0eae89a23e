//! The rules of all channels: a snapshot of `channel.*` and `client.insecure`.

use std::sync::Arc;

use hashbrown::HashMap;

use super::expressions::Expressions;
use super::grant::{Source, SubscriptionExtras, SubscriptionGrant, Wishes};
use super::name::NameSyntax;
use super::options::Namespace;
use super::patterns::Patterns;
use crate::config::ChannelPattern;

/// Everything that is configured about channels. Immutable; a reload makes a new one.
#[derive(Clone, Debug, Default)]
pub struct ChannelRules {
    syntax: NameSyntax,
    max_length: Option<usize>,
    insecure: bool,
    without_namespace: Arc<Namespace>,
    namespaces: HashMap<Box<str>, Arc<Namespace>>,
    /// Namespaces of channels that start with `/`; `None` if these are like others.
    patterns: Option<Patterns>,
    expressions: Arc<Expressions>,
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
            patterns: None,
            expressions: Arc::default(),
        }
    }

    /// Resolves channels that start with `/` by these patterns from now on.
    pub(super) fn with_patterns(
        mut self,
        namespaces: impl IntoIterator<Item = (ChannelPattern, Namespace)>,
    ) -> Self {
        let mut patterns = Patterns::default();
        for (pattern, namespace) in namespaces {
            patterns.insert(&pattern, Arc::new(namespace));
        }
        self.patterns = Some(patterns);
        self
    }

    /// The options of a channel. The one question that the server API asks before it acts.
    ///
    /// # Errors
    ///
    /// The name's namespace is not configured, or no pattern matches the name.
    pub fn resolve(&self, channel: &str) -> Result<&Arc<Namespace>, UnknownNamespace> {
        self.lookup(channel).map(|(namespace, _)| namespace)
    }

    /// The options of a channel, and the part of its name that `channel_regex` is about.
    pub(super) fn lookup<'a>(
        &self,
        channel: &'a str,
    ) -> Result<(&Arc<Namespace>, &'a str), UnknownNamespace> {
        if let Some(patterns) = self.patterns.as_ref().filter(|_| channel.starts_with('/')) {
            let namespace = patterns.find(channel).ok_or(UnknownNamespace)?;
            return Ok((namespace, channel));
        }
        let name = self.syntax.parse(channel);
        let namespace = match name.namespace {
            "" => &self.without_namespace,
            name => self.namespaces.get(name).ok_or(UnknownNamespace)?,
        };
        Ok((namespace, name.rest))
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

    /// Compiled expressions of capabilities; a reload begins anew.
    pub(super) fn expressions(&self) -> &Expressions {
        &self.expressions
    }

    pub(super) fn insecure(&self) -> bool {
        self.insecure
    }
}
