//! Admission of commands (protocol.md 3.1), and what continues when a call is answered.

use std::sync::Arc;
use std::time::Instant;

use super::call::{Answer, CallId};
use super::connect::Connecting;
use super::subscribe::Subscribing;
use super::{Now, Phase, Session};
use crate::protocol::{Disconnect, ErrorCode, message};
use crate::telemetry::{CommandKind, FrameType};

/// A call under way.
pub(super) struct Pending {
    pub(super) call: CallId,
    /// The channel on which no other command may start.
    pub(super) channel: Option<Arc<str>>,
    pub(super) then: Continuation,
}

/// What to do with the answer to a call.
pub(super) enum Continuation {
    /// Steps of a connect command.
    Connect(Box<Connecting>),
    /// Steps of a subscription.
    Subscribe(Box<Subscribing>),
    /// A refresh command waits for its token.
    Refresh(Ticket),
    /// A sub_refresh command waits for its token.
    SubRefresh(Ticket, Arc<str>),
    /// A read or publish: the answer becomes the reply.
    Reply(Ticket),
    /// The periodic position check.
    PositionCheck,
}

/// A command that will be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) id: u32,
    pub(super) kind: CommandKind,
    pub(super) since: Instant,
}

/// Why a command is not answered with its result.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The reply is an error.
    Error(ErrorCode),
    /// The connection is closed.
    Disconnect(Disconnect),
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        Self::Error(error)
    }
}

impl From<Disconnect> for Refusal {
    fn from(disconnect: Disconnect) -> Self {
        Self::Disconnect(disconnect)
    }
}

impl Session {
    /// Commands under way; background calls do not count.
    pub(super) fn pending_commands(&self) -> usize {
        self.pending
            .iter()
            .filter(|pending| !matches!(pending.then, Continuation::PositionCheck))
            .count()
    }

    /// Starts commands of the current frame as far as concurrency and order allow.
    pub(super) fn process(&mut self, now: Now) {
        while self.phase != Phase::Closed && self.pending_commands() < self.context.settings.concurrency {
            let command = match self.stalled.take() {
                Some(command) => *command,
                None => match self.next_command() {
                    Some(command) => command,
                    None => return,
                },
            };
            if self.must_wait(&command) {
                let waits = command.unsubscribe.is_some()
                    && channel_of(&command).is_some_and(|channel| self.is_subscribing(channel));
                self.set_unsubscribe_wait(waits, now);
                self.stalled = Some(Box::new(command));
                return;
            }
            self.set_unsubscribe_wait(false, now);
            self.start(command, now);
        }
    }

    fn next_command(&mut self) -> Option<message::Command> {
        let commands = self.incoming.as_mut()?;
        let before = commands.remaining();
        match commands.next() {
            Some(Ok(command)) => {
                let size = before.saturating_sub(commands.remaining());
                if commands.remaining() == 0 {
                    self.incoming = None;
                }
                let kind = frame_type(&command);
                self.context
                    .metrics
                    .received(self.handle.transport, kind, 1, size as u64);
                tracing::trace!(
                    client = %self.handle.client, user = %self.user, id = command.id, command = kind.name(),
                    channel = channel_of(&command), bytes = size, "<-in--"
                );
                Some(command)
            }
            Some(Err(error)) => {
                tracing::info!(client = %self.handle.client, user = %self.user, %error, "error reading command");
                self.close(Disconnect::BAD_REQUEST);
                None
            }
            None => {
                self.incoming = None;
                None
            }
        }
    }

    /// Commands on one channel take effect in the order sent; a connect is never overtaken.
    fn must_wait(&self, command: &message::Command) -> bool {
        let channel = channel_of(command);
        self.pending.iter().any(|pending| match &pending.then {
            Continuation::PositionCheck => false,
            Continuation::Connect(_) => true,
            _ => channel.is_some() && pending.channel.as_deref() == channel,
        })
    }

    /// Whether a subscription to the channel is being made, by the client or by the server API.
    pub(super) fn is_subscribing(&self, channel: &str) -> bool {
        self.pending.iter().any(|pending| {
            matches!(pending.then, Continuation::Subscribe(_)) && pending.channel.as_deref() == Some(channel)
        })
    }

    fn start(&mut self, command: message::Command, now: Now) {
        if self.phase == Phase::Unusable {
            // On a WebSocket later frames are ignored; a streaming client broke the protocol.
            self.incoming = None;
            if self.is_emulated() {
                self.close(Disconnect::BAD_REQUEST);
            }
            return;
        }
        let is_connect = command.id > 0 && command.connect.is_some();
        if self.phase == Phase::Fresh && !is_connect {
            tracing::debug!(client = %self.handle.client, "unexpected frame before connect");
            return self.close(Disconnect::BAD_REQUEST);
        }
        if command.id == 0 && command.send.is_none() {
            if !self.take_pong(now) {
                tracing::debug!(client = %self.handle.client, "disconnect client due to unnecessary pong");
                self.close(Disconnect::BAD_REQUEST);
            }
            return;
        }
        let ticket = Ticket {
            id: command.id,
            kind: kind_of(&command),
            since: now.instant,
        };
        let started = self
            .check_limits(&command, ticket.kind, now)
            .and_then(|()| self.dispatch(command, ticket, now));
        if let Err(refusal) = started {
            self.refuse(ticket, refusal, now);
        }
    }

    /// The first request in the documented order wins (protocol.md 2.2).
    fn dispatch(&mut self, command: message::Command, ticket: Ticket, now: Now) -> Result<(), Refusal> {
        let message::Command {
            id: _,
            connect,
            subscribe,
            unsubscribe,
            publish,
            presence,
            presence_stats,
            history,
            ping,
            send,
            rpc,
            refresh,
            sub_refresh,
        } = command;
        if let Some(request) = connect {
            return self.connect(request, ticket, now);
        }
        let has_other = subscribe.is_some()
            || unsubscribe.is_some()
            || publish.is_some()
            || presence.is_some()
            || presence_stats.is_some()
            || history.is_some()
            || rpc.is_some()
            || send.is_some()
            || refresh.is_some()
            || sub_refresh.is_some();
        if ping.is_some() && has_other {
            return Err(ErrorCode::NOT_AVAILABLE.into());
        }
        if let Some(request) = subscribe {
            self.subscribe(request, ticket, now)
        } else if let Some(request) = unsubscribe {
            self.unsubscribe(&request, ticket, now)
        } else if let Some(request) = publish {
            self.publish(request, ticket)
        } else if let Some(request) = presence {
            self.presence(&request, ticket)
        } else if let Some(request) = presence_stats {
            self.presence_stats(&request, ticket)
        } else if let Some(request) = history {
            self.history(request, ticket)
        } else if let Some(request) = rpc {
            self.rpc(&request, ticket, now)
        } else if send.is_some() {
            Err(Disconnect::NOT_AVAILABLE.into())
        } else if let Some(request) = refresh {
            self.refresh(&request, ticket, now)
        } else if let Some(request) = sub_refresh {
            self.sub_refresh(&request, ticket, now)
        } else {
            Err(Disconnect::BAD_REQUEST.into())
        }
    }

    pub(super) fn resume(&mut self, pending: Pending, answer: Answer, now: Now) {
        let (ticket, result) = match pending.then {
            Continuation::Connect(connecting) => {
                (connecting.ticket, self.resume_connect(connecting, answer, now))
            }
            Continuation::Subscribe(subscribing) => {
                let ticket = subscribing.ticket;
                let result = self.resume_subscribe(subscribing, answer, now);
                match ticket {
                    Some(ticket) => (ticket, result),
                    // Made by the server API: there is no command to answer.
                    None => {
                        if let Err(refusal) = result {
                            self.close(match refusal {
                                Refusal::Disconnect(disconnect) => disconnect,
                                Refusal::Error(_) => Disconnect::INTERNAL,
                            });
                        }
                        return;
                    }
                }
            }
            Continuation::Refresh(ticket) => (ticket, self.resume_refresh(ticket, answer, now)),
            Continuation::SubRefresh(ticket, channel) => {
                (ticket, self.resume_sub_refresh(ticket, &channel, answer, now))
            }
            Continuation::Reply(ticket) => (ticket, self.resume_reply(ticket, answer, now)),
            Continuation::PositionCheck => {
                if let Answer::Looked(looks) = answer {
                    self.positions_checked(looks);
                }
                return;
            }
        };
        if let Err(refusal) = result {
            self.refuse(ticket, refusal, now);
        }
    }

    /// A call was answered after the session had closed: release what it made.
    pub(super) fn abandon(&mut self, pending: Pending, answer: &Answer) {
        if !matches!(answer, Answer::Attached(Ok(_))) {
            return;
        }
        match pending.then {
            Continuation::Connect(connecting) => self.release_attached(connecting.into_attaching()),
            Continuation::Subscribe(subscribing) => self.release_attached(subscribing.into_attaching()),
            _ => {}
        }
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refusal: Refusal, now: Now) {
        let command = ticket.kind.name();
        match refusal {
            Refusal::Error(error) => {
                tracing::info!(
                    client = %self.handle.client, user = %self.user, command, code = error.code, error = error.message,
                    "client command error"
                );
                self.context.metrics.reply_error(ticket.kind, error.code);
                if let Err(disconnect) = self.check_error_limit(error, ticket.kind, now) {
                    return self.close(disconnect);
                }
                if ticket.kind == CommandKind::Connect {
                    self.phase = Phase::Unusable;
                    // The rest of the batch is dropped.
                    self.incoming = None;
                    self.stalled = None;
                    self.start_unusable_timer(now);
                }
                let body = message::Reply {
                    error: Some(error.to_message()),
                    ..message::Reply::default()
                };
                self.reply(ticket, body, now);
            }
            Refusal::Disconnect(disconnect) => {
                tracing::info!(
                    client = %self.handle.client, user = %self.user, command, reason = %disconnect.reason,
                    "disconnect after handling command"
                );
                self.close(disconnect);
            }
        }
    }

    /// Answers a command.
    pub(super) fn reply(&mut self, ticket: Ticket, mut body: message::Reply, now: Now) {
        body.id = ticket.id;
        let duration = now.instant.saturating_duration_since(ticket.since);
        self.context.metrics.command(ticket.kind, duration);
        self.send(&body, ticket.kind.frame_type());
    }
}

pub(super) fn channel_of(command: &message::Command) -> Option<&str> {
    let channel = if let Some(request) = &command.subscribe {
        &request.channel
    } else if let Some(request) = &command.unsubscribe {
        &request.channel
    } else if let Some(request) = &command.publish {
        &request.channel
    } else if let Some(request) = &command.presence {
        &request.channel
    } else if let Some(request) = &command.presence_stats {
        &request.channel
    } else if let Some(request) = &command.history {
        &request.channel
    } else if let Some(request) = &command.sub_refresh {
        &request.channel
    } else {
        return None;
    };
    Some(channel)
}

fn kind_of(command: &message::Command) -> CommandKind {
    if command.connect.is_some() {
        CommandKind::Connect
    } else if command.subscribe.is_some() {
        CommandKind::Subscribe
    } else if command.unsubscribe.is_some() {
        CommandKind::Unsubscribe
    } else if command.publish.is_some() {
        CommandKind::Publish
    } else if command.presence.is_some() {
        CommandKind::Presence
    } else if command.presence_stats.is_some() {
        CommandKind::PresenceStats
    } else if command.history.is_some() {
        CommandKind::History
    } else if command.rpc.is_some() {
        CommandKind::Rpc
    } else if command.send.is_some() {
        CommandKind::Send
    } else if command.refresh.is_some() {
        CommandKind::Refresh
    } else if command.sub_refresh.is_some() {
        CommandKind::SubRefresh
    } else {
        CommandKind::Unknown
    }
}

fn frame_type(command: &message::Command) -> FrameType {
    match kind_of(command) {
        CommandKind::Unknown if command.id == 0 => FrameType::ClientPong,
        kind => kind.frame_type(),
    }
}
