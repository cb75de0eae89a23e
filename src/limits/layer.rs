//! Which limits a command has in one layer.

use hashbrown::HashMap;

use super::bucket::{Limit, Limits};
use crate::config::{self, CommandLimit, CommandLimits, LimitOptions};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as the commands")]
pub enum Operation {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    History,
    Presence,
    PresenceStats,
    SubRefresh,
    Refresh,
    Rpc,
}

impl Operation {
    /// Every operation, in the order of [`Self::index`].
    pub(super) const ALL: [Self; 10] = [
        Self::Connect,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Publish,
        Self::History,
        Self::Presence,
        Self::PresenceStats,
        Self::SubRefresh,
        Self::Refresh,
        Self::Rpc,
    ];

    /// Name of the option that limits it.
    fn option(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Publish => "publish",
            Self::History => "history",
            Self::Presence => "presence",
            Self::PresenceStats => "presence_stats",
            Self::SubRefresh => "sub_refresh",
            Self::Refresh => "refresh",
            Self::Rpc => "rpc",
        }
    }

    /// Leaving a channel relieves the server; see the module documentation.
    pub(super) fn is_refusable(self) -> bool {
        self != Self::Unsubscribe
    }
}

/// The limits of one layer.
pub(super) struct Layer {
    total: Option<Limit>,
    /// In the order of [`Operation::ALL`]. An operation that the layer does not know has no rule.
    rules: [Option<Rule>; Operation::ALL.len()],
}

/// The limits of one operation.
struct Rule {
    base: Option<Limit>,
    /// By namespace or method.
    overrides: HashMap<Box<str>, Option<Limit>>,
}

impl Layer {
    /// The limits of `commands`; `common` holds those that are no command's own.
    pub(super) fn new(commands: &[CommandLimit<'_>], common: &CommandLimits) -> Self {
        let mut slots = 0;
        let default = common.default.options();
        let default = if default.enabled { default.buckets } else { &[] };
        let total = common.total.options();
        let total = total.enabled.then_some(total.buckets);
        let total = total.and_then(|buckets| limit(buckets, &mut slots));
        let rules = Operation::ALL.map(|operation| {
            let command = commands.iter().find(|of| of.name == operation.option())?;
            Some(Rule::new(command, default, &mut slots))
        });
        Self { total, rules }
    }

    /// What a command needs, in a namespace or of a method.
    pub(super) fn limits(&self, operation: Operation, name: &str) -> Limits<'_> {
        let Some(rule) = self.rules.get(operation as usize).and_then(Option::as_ref) else {
            return [None; 2];
        };
        let own = rule.overrides.get(name).unwrap_or(&rule.base);
        [own.as_ref(), self.total.as_ref()]
    }
}

impl Rule {
    fn new(command: &CommandLimit<'_>, default: &[config::Bucket], slots: &mut u32) -> Self {
        let of = |options: LimitOptions<'_>, slots: &mut u32| {
            let is_own = options.enabled && !options.buckets.is_empty();
            limit(if is_own { options.buckets } else { default }, slots)
        };
        let base = of(command.base, slots);
        let overrides = command.overrides.iter().filter(|(_, options)| options.enabled);
        Self {
            base,
            overrides: overrides
                .map(|(name, options)| ((*name).into(), of(*options, slots)))
                .collect(),
        }
    }
}

fn limit(buckets: &[config::Bucket], slots: &mut u32) -> Option<Limit> {
    (!buckets.is_empty()).then(|| Limit::new(buckets, slots))
}
