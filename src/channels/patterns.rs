//! Which namespace's pattern a channel matches (channels-and-auth.md 7.6).
//!
//! A tree of segments, one level per `/`. Where both fixed text and a variable fit, the text is tried first, and
//! of two variables the one behind the longer text: so of all patterns that match, that one is found which is
//! fixed at the first position where they differ. A branch that turns out not to fit further down is left for
//! the next one, hence a pattern that matches is always found. A node sits at one depth and is reached by one
//! way, so a lookup visits each node at most once: its cost is bounded by the configuration, not by the name.
//!
//! The routers of HTTP frameworks (matchit, which axum brings along) decide alike, but also collect the
//! variables' values, which nobody asks for here, and allocate for that.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::options::Namespace;
use crate::config::ChannelPattern;

/// The namespaces that have a pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    root: Node,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// What may follow, by the whole segment.
    fixed: BTreeMap<Box<str>, Node>,
    /// What may follow a segment that starts with a text and goes on, in the order of trial.
    variable: BTreeMap<(Reverse<usize>, Box<str>), Node>,
    /// Whose pattern ends here.
    namespace: Option<Arc<Namespace>>,
}

impl Patterns {
    /// Adds a namespace. One that was there with a pattern of the same shape is replaced; the configuration has
    /// refused that.
    pub(super) fn insert(&mut self, pattern: &ChannelPattern, namespace: Arc<Namespace>) {
        let node = pattern.shape().fold(&mut self.root, |node, (text, is_variable)| {
            node.child(text, is_variable)
        });
        node.namespace = Some(namespace);
    }

    /// The namespace of a channel whose name starts with `/`.
    pub(super) fn find(&self, channel: &str) -> Option<&Arc<Namespace>> {
        self.root.find(channel.strip_prefix('/')?)
    }
}

impl Node {
    fn child(&mut self, text: &str, is_variable: bool) -> &mut Self {
        if is_variable {
            self.variable
                .entry((Reverse(text.len()), text.into()))
                .or_default()
        } else {
            self.fixed.entry(text.into()).or_default()
        }
    }

    fn find(&self, path: &str) -> Option<&Arc<Namespace>> {
        let (segment, rest) = match path.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (path, None),
        };
        let fits = |text: &str| segment.len() > text.len() && segment.starts_with(text);
        let variable = self.variable.iter().filter(|((_, text), _)| fits(text));
        let mut nodes = self
            .fixed
            .get(segment)
            .into_iter()
            .chain(variable.map(|(_, node)| node));
        nodes.find_map(|node| match rest {
            Some(rest) => node.find(rest),
            None => node.namespace.as_ref(),
        })
    }
}
