//! Names of channels as subjects, and back (engines.md 11). Pure.

use crate::config::Nats;
use crate::engine::EngineError;

/// The names that one configuration leads to.
#[derive(Clone, Debug)]
pub struct Subjects {
    prefix: String,
    /// Beginning of the subjects of channels.
    channels: String,
    /// Longest first; empty unless in raw mode.
    replacements: Vec<(String, String)>,
    is_raw: bool,
    allows_wildcards: bool,
}

impl Subjects {
    /// The names of a configuration.
    #[must_use]
    pub fn new(options: &Nats) -> Self {
        let raw = &options.raw_mode;
        let (channels, mut replacements) = if raw.enabled {
            let pairs = raw.channel_replacements.iter();
            let pairs = pairs.filter(|(from, _)| !from.is_empty());
            (
                raw.prefix.clone(),
                pairs.map(|(from, to)| (from.clone(), to.clone())).collect(),
            )
        } else {
            (format!("{}.client.", options.prefix), Vec::new())
        };
        replacements.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Self {
            prefix: options.prefix.clone(),
            channels,
            replacements,
            is_raw: raw.enabled,
            allows_wildcards: options.allow_wildcards,
        }
    }

    /// Whether publications are sent as they are.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// Whether publications tell subscribers the channel that they were published to.
    #[must_use]
    pub fn tells_origin(&self) -> bool {
        self.is_raw || self.allows_wildcards
    }

    /// Where publications of a channel go.
    ///
    /// # Errors
    /// [`EngineError::BadChannel`] for a name with wildcards or one that is not for channels,
    /// [`EngineError::Unavailable`] for one that is no subject: the reference answers 107 to the one and 100 to the
    /// other.
    pub fn publishing(&self, channel: &str) -> Result<String, EngineError> {
        if is_pattern(channel) {
            return Err(EngineError::BadChannel);
        }
        let subject = self.subject(channel);
        if !is_valid(&subject) {
            return Err(EngineError::Unavailable(
                "channel is not a valid subject of NATS".to_owned(),
            ));
        }
        if self.is_reserved(&subject) {
            return Err(EngineError::BadChannel);
        }
        Ok(subject)
    }

    /// Where subscribers of a channel, or of a pattern, listen. Their joins and leaves go to the same subject.
    ///
    /// # Errors
    /// [`EngineError::BadChannel`] for a name that cannot be subscribed to.
    pub fn subscribing(&self, channel: &str) -> Result<String, EngineError> {
        let subject = self.subject(channel);
        let is_allowed = self.allows_wildcards || !is_pattern(channel);
        if !is_allowed || !is_valid(&subject) || self.is_reserved(&subject) {
            return Err(EngineError::BadChannel);
        }
        Ok(subject)
    }

    /// The channel that a message was published to; `None` for what is no channel's. Replacements are not reversed.
    #[must_use]
    pub fn channel_of<'a>(&self, subject: &'a str) -> Option<&'a str> {
        let channel = subject.strip_prefix(&self.channels)?;
        (!self.is_reserved(subject)).then_some(channel)
    }

    /// Where nodes listen for the publications of a channel; `>` for all of them.
    #[must_use]
    pub fn client(&self, channel: &str) -> String {
        format!("{}{channel}", self.channels)
    }

    /// Where messages for all nodes go.
    #[must_use]
    pub fn control(&self) -> String {
        format!("{}.control", self.prefix)
    }

    /// Where messages for one node go.
    #[must_use]
    pub fn node(&self, id: &str) -> String {
        format!("{}.node.{id}", self.prefix)
    }

    /// Where a node hears itself.
    #[must_use]
    pub fn echo(&self, id: &str) -> String {
        format!("{}.echo.{id}", self.prefix)
    }

    /// Where JetStream takes what it is to keep; `kind` names the stream.
    #[must_use]
    pub fn kept(&self, kind: &str, channel: &str) -> String {
        format!("{}.{kind}.{channel}", self.prefix)
    }

    /// The name of a stream of JetStream, which has no dots.
    #[must_use]
    pub fn stream(&self, kind: &str) -> String {
        let name = |c: char| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        };
        format!("{}_{kind}", self.prefix.chars().map(name).collect::<String>())
    }

    fn subject(&self, channel: &str) -> String {
        let mut subject = self.channels.clone();
        let mut rest = channel;
        while let Some(first) = rest.chars().next() {
            let found = self.replacements.iter().find(|(from, _)| rest.starts_with(from));
            let taken = match found {
                Some((from, to)) => {
                    subject.push_str(to);
                    from.len()
                }
                None => {
                    subject.push(first);
                    first.len_utf8()
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        subject
    }

    /// In raw mode a channel may have any name: those that nodes and servers need for themselves are no channels.
    fn is_reserved(&self, subject: &str) -> bool {
        let own = subject
            .strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix('.'));
        let is_own = own
            .is_some_and(|rest| rest == "control" || rest.starts_with("node.") || rest.starts_with("echo."));
        self.is_raw && (is_own || subject.starts_with('$') || subject.starts_with("_INBOX."))
    }
}

/// Whether a name contains a wildcard, anywhere: only as whole tokens they are wildcards to NATS, but names that
/// contain them otherwise are refused likewise (engines.md 11).
#[must_use]
pub fn is_pattern(channel: &str) -> bool {
    channel.contains(['*', '>'])
}

/// Whether a text is a subject. A server takes others, and then does something else than one meant.
#[must_use]
pub fn is_valid(subject: &str) -> bool {
    let mut tokens = subject.split('.').peekable();
    while let Some(token) = tokens.next() {
        let is_plain = !token.chars().any(|c| c.is_whitespace() || c.is_control());
        if token.is_empty() || !is_plain || (token == ">" && tokens.peek().is_some()) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subjects(change: impl FnOnce(&mut Nats)) -> Subjects {
        let mut options = Nats::default();
        change(&mut options);
        Subjects::new(&options)
    }

    #[test]
    fn channels_are_subjects_below_the_prefix() {
        let plain = subjects(|_| ());
        assert_eq!(
            plain.publishing("news.a").as_deref(),
            Ok("centrifugo.client.news.a")
        );
        assert_eq!(plain.channel_of("centrifugo.client.news.a"), Some("news.a"));
        assert_eq!(plain.channel_of("other.client.news.a"), None);
        assert_eq!(
            (plain.control(), plain.node("n")),
            ("centrifugo.control".to_owned(), "centrifugo.node.n".to_owned())
        );
        assert_eq!(
            subjects(|options| options.prefix = "a.b c".to_owned()).stream("history"),
            "a_b_c_history"
        );
    }

    #[test]
    fn what_is_no_subject_is_no_channel() {
        let all = subjects(|options| options.allow_wildcards = true);
        let exact = subjects(|_| ());
        for channel in ["a b", "a..b", ".a", "a.", "", "a\tb", "a\u{85}b"] {
            assert!(
                matches!(exact.publishing(channel), Err(EngineError::Unavailable(_))),
                "{channel:?}"
            );
            assert_eq!(
                exact.subscribing(channel),
                Err(EngineError::BadChannel),
                "{channel:?}"
            );
            assert_eq!(
                all.subscribing(channel),
                Err(EngineError::BadChannel),
                "{channel:?}"
            );
        }
        for channel in ["news.*", "news.>", ">", "a*b", "x>"] {
            assert_eq!(
                exact.publishing(channel),
                Err(EngineError::BadChannel),
                "{channel:?}"
            );
            assert_eq!(
                all.publishing(channel),
                Err(EngineError::BadChannel),
                "{channel:?}"
            );
            assert_eq!(
                exact.subscribing(channel),
                Err(EngineError::BadChannel),
                "{channel:?}"
            );
            assert!(all.subscribing(channel).is_ok(), "{channel:?}");
        }
        assert_eq!(all.subscribing("a.>.b"), Err(EngineError::BadChannel));
    }

    #[test]
    fn raw_names_are_replaced_and_some_are_not_for_channels() {
        let raw = subjects(|options| {
            options.raw_mode.enabled = true;
            options.raw_mode.prefix = "raw.".to_owned();
            let pairs = [(":", "."), ("::", "-"), ("", "x")];
            options.raw_mode.channel_replacements =
                pairs.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        });
        assert_eq!(raw.publishing("a:b::c").as_deref(), Ok("raw.a.b-c"));
        assert_eq!(raw.channel_of("raw.a.b-c"), Some("a.b-c"));
        let open = subjects(|options| options.raw_mode.enabled = true);
        for channel in [
            "centrifugo.control",
            "centrifugo.node.x",
            "$JS.API.INFO",
            "_INBOX.x",
        ] {
            assert_eq!(
                open.publishing(channel),
                Err(EngineError::BadChannel),
                "{channel}"
            );
            assert_eq!(open.channel_of(channel), None, "{channel}");
        }
        assert_eq!(
            open.publishing("centrifugo.client.a").as_deref(),
            Ok("centrifugo.client.a")
        );
    }

    proptest! {
        #[test]
        fn names_survive(channel in "\\PC{0,20}") {
            let plain = subjects(|_| ());
            if let Ok(subject) = plain.publishing(&channel) {
                prop_assert_eq!(plain.channel_of(&subject), Some(&*channel));
                prop_assert_eq!(plain.subscribing(&channel), Ok(subject));
            }
        }
    }
}
