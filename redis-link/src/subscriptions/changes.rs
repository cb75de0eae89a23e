//! What a connection with subscriptions sends, and what of it is not answered yet.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Kind;

/// Channels in one command.
pub(super) const BATCH: usize = 512;

#[derive(Clone, Debug)]
pub(super) enum Change {
    Subscribe(Bytes),
    /// In a command of its own: one of those that were asked for together was refused.
    SubscribeAlone(Bytes),
    Unsubscribe(Bytes),
}

impl Change {
    fn channel(self) -> Bytes {
        match self {
            Self::Subscribe(channel) | Self::SubscribeAlone(channel) | Self::Unsubscribe(channel) => channel,
        }
    }

    /// Whether one command may do both.
    fn goes_with(&self, next: &Self) -> bool {
        matches!(
            (self, next),
            (Self::Subscribe(_), Self::Subscribe(_)) | (Self::Unsubscribe(_), Self::Unsubscribe(_))
        )
    }
}

/// Commands in the order in which they will be answered: a subscription or its end once for each channel, or with one
/// error for all of them.
#[derive(Debug, Default)]
pub(super) struct Unanswered(VecDeque<Sent>);

#[derive(Debug)]
enum Sent {
    Subscribe { channels: Vec<Bytes>, confirmed: usize },
    Unsubscribe { left: usize },
    Question,
}

/// What was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Subscribe(Vec<Bytes>),
    Other,
}

impl Unanswered {
    /// Appends commands for changes. Neighbouring ones of one kind become one command.
    pub(super) fn send(&mut self, changes: Vec<Change>, kind: Kind, out: &mut Vec<u8>) {
        let mut changes = changes.into_iter().peekable();
        while let Some(first) = changes.next() {
            let is_subscribe = !matches!(first, Change::Unsubscribe(_));
            let mut command = redis::cmd(if is_subscribe {
                kind.subscribe()
            } else {
                kind.unsubscribe()
            });
            let mut channels = Vec::new();
            let mut next = Some(first);
            while let Some(change) = next {
                next = changes.next_if(|next| channels.len() + 1 < BATCH && change.goes_with(next));
                let channel = change.channel();
                command.arg(&channel[..]);
                channels.push(channel);
            }
            command.write_packed_command(out);
            self.0.push_back(if is_subscribe {
                Sent::Subscribe {
                    channels,
                    confirmed: 0,
                }
            } else {
                Sent::Unsubscribe { left: channels.len() }
            });
        }
    }

    /// Appends a question.
    pub(super) fn ask(&mut self, question: &redis::Cmd, out: &mut Vec<u8>) {
        question.write_packed_command(out);
        self.0.push_back(Sent::Question);
    }

    /// A subscription was confirmed.
    pub(super) fn subscribed(&mut self) {
        if let Some(Sent::Subscribe { channels, confirmed }) = self.0.front_mut() {
            *confirmed += 1;
            if *confirmed == channels.len() {
                self.0.pop_front();
            }
        }
    }

    /// The end of one was confirmed, or the server ended it.
    pub(super) fn unsubscribed(&mut self) {
        if let Some(Sent::Unsubscribe { left }) = self.0.front_mut() {
            *left -= 1;
            if *left == 0 {
                self.0.pop_front();
            }
        }
    }

    /// A question was answered.
    pub(super) fn answered(&mut self) {
        if matches!(self.0.front(), Some(Sent::Question)) {
            self.0.pop_front();
        }
    }

    /// An error came in the place of an answer.
    pub(super) fn refused(&mut self) -> Refused {
        match self.0.pop_front() {
            Some(Sent::Subscribe { channels, .. }) => Refused::Subscribe(channels),
            _ => Refused::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &'static str) -> Bytes {
        Bytes::from_static(name.as_bytes())
    }

    #[test]
    fn an_error_is_of_the_oldest_command_without_answer() {
        let mut unanswered = Unanswered::default();
        let mut out = Vec::new();
        let changes = vec![
            Change::Subscribe(channel("a")),
            Change::Subscribe(channel("b")),
            Change::Unsubscribe(channel("a")),
            Change::Subscribe(channel("c")),
            Change::SubscribeAlone(channel("d")),
            Change::SubscribeAlone(channel("e")),
        ];
        unanswered.send(changes, Kind::Plain, &mut out);
        unanswered.ask(&redis::cmd("PING"), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("SUBSCRIBE").count(), 5);
        assert_eq!(text.matches("*3").count(), 1);

        unanswered.subscribed();
        unanswered.subscribed();
        unanswered.unsubscribed();
        assert_eq!(unanswered.refused(), Refused::Subscribe(vec![channel("c")]));
        unanswered.subscribed();
        assert_eq!(unanswered.refused(), Refused::Subscribe(vec![channel("e")]));
        unanswered.answered();
        assert_eq!(unanswered.refused(), Refused::Other);
        assert!(unanswered.0.is_empty());
    }
}
