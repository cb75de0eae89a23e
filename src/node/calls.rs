//! Performs the calls of sessions on hub, engine and registry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use super::registry::{ConnectionKey, Member};
use super::{Node, unix_ms};
use crate::engine::{ClientInfo, EngineError, History, HistoryQuery, Position, Publication, PublishOptions};
use crate::hub::{Event, Sighting};
use crate::protocol::Disconnect;
use crate::session::{Answer, Attach, Call, Detach, Look};
use crate::telemetry::{Action, FrameType};

impl Node {
    /// Performs one call. Runs to its end also when the session has gone.
    pub(super) async fn perform(
        &self,
        key: ConnectionKey,
        member: Member,
        user_limit: Option<usize>,
        call: Call,
    ) -> Answer {
        match call {
            Call::Await(wait) => wait.await,
            Call::Register { user, single } => {
                Answer::Registered(self.register(key, member, user_limit, &user, single).await)
            }
            Call::Attach(attach) => Answer::Attached(self.attach_all(attach).await),
            Call::Detach(detach) => {
                self.detach(detach).await;
                Answer::Done
            }
            Call::Publish {
                channel,
                data,
                info,
                options,
            } => self.publish_for(channel, data, info, options).await,
            Call::Presence(channel) => {
                self.context.metrics.action(Action::Presence);
                Answer::Presence(self.presence.presence(&channel).await)
            }
            Call::PresenceStats(channel) => {
                self.context.metrics.action(Action::PresenceStats);
                Answer::PresenceStats(self.presence.stats(&channel).await)
            }
            Call::History(channel, query) => {
                self.context.metrics.action(Action::History);
                Answer::History(self.broker.history(&channel, query).await)
            }
            Call::Join(channel, info) => {
                self.context.metrics.broker_sent(FrameType::PushJoin);
                done(self.broker.publish_join(&channel, info).await)
            }
            Call::Renew(entries) => {
                let renewing = entries.into_iter().map(|(channel, info)| async move {
                    self.context.metrics.action(Action::AddPresence);
                    let client = info.client.clone();
                    if let Err(error) = self.presence.add(&channel, &client, info).await {
                        tracing::error!(%channel, %error, "error updating presence");
                    }
                });
                join_all(renewing).await;
                Answer::Done
            }
            Call::Look(looks) => {
                let looking = looks.into_iter().map(async |look| {
                    let seen = self.look(&look).await;
                    (look, seen)
                });
                Answer::Looked(join_all(looking).await)
            }
        }
    }

    async fn look(&self, look: &Look) -> Option<Sighting> {
        let Look {
            channel,
            position,
            since_ms,
            meta_ttl,
        } = look;
        let read = async || {
            let seen_ms = unix_ms();
            let top = self.read_top(channel, *meta_ttl).await?;
            Some(Sighting { top, seen_ms })
        };
        self.hub.look(channel, position, *since_ms, read).await
    }

    /// The top of a stream; `None` if it cannot be read.
    pub(super) async fn read_top(&self, channel: &str, meta_ttl: Duration) -> Option<Position> {
        let query = HistoryQuery {
            limit: Some(0),
            since: None,
            reverse: false,
            meta_ttl,
        };
        self.context.metrics.action(Action::HistoryStreamTop);
        let read = self.broker.history(channel, query).await;
        read.map(|history| history.top).ok()
    }

    /// Publishes for a client. Apart from [`perform`](Self::perform), because what waits in it is small, and most
    /// calls of busy connections are of this kind.
    pub(super) async fn publish_for(
        &self,
        channel: Arc<str>,
        data: Bytes,
        info: Arc<ClientInfo>,
        options: PublishOptions,
    ) -> Answer {
        let publication = Publication {
            data,
            info: Some(info),
            time_ms: unix_ms(),
            ..Publication::default()
        };
        self.context.metrics.broker_sent(FrameType::PushPublication);
        let published = self.broker.publish(&channel, publication, options).await;
        Answer::Published(published.map(|_| ()))
    }

    async fn register(
        &self,
        key: ConnectionKey,
        member: Member,
        user_limit: Option<usize>,
        user: &str,
        single: Option<Arc<str>>,
    ) -> bool {
        if let Some(personal) = single {
            // Best effort: two that come at once may both see an empty channel.
            if self
                .presence
                .stats(&personal)
                .await
                .is_ok_and(|stats| stats.clients > 0)
            {
                for other in self.registry.of_user(user) {
                    other
                        .handle
                        .mailbox
                        .post(Event::Disconnect(Disconnect::CONNECTION_LIMIT));
                }
            }
        }
        let client = member.handle.client.clone();
        self.registry.authenticate(key, user, member, user_limit) && self.count_user(key, user, &client).await
    }

    /// All or nothing: what was joined before a failure is left again.
    async fn attach_all(&self, attach: Vec<Attach>) -> Result<Vec<Option<History>>, EngineError> {
        let mut histories = Vec::with_capacity(attach.len());
        let mut joined: Vec<Attach> = Vec::with_capacity(attach.len());
        for attach in attach {
            let attached = self.attach(&attach).await;
            joined.push(attach);
            match attached {
                Ok(history) => histories.push(history),
                Err(error) => {
                    for Attach {
                        channel,
                        subscriber,
                        presence,
                        ..
                    } in joined
                    {
                        self.detach(Detach {
                            channel,
                            subscriber,
                            presence,
                            leave: None,
                        })
                        .await;
                    }
                    return Err(error);
                }
            }
        }
        Ok(histories)
    }

    /// Joins the hub first and reads the stream last: what is published in between is held by the subscriber.
    async fn attach(&self, attach: &Attach) -> Result<Option<History>, EngineError> {
        let Attach {
            channel,
            subscriber,
            presence,
            read,
        } = attach;
        let metrics = &self.context.metrics;
        if self.hub.join(channel, subscriber) {
            metrics.action(Action::BrokerSubscribe);
        }
        // Also where others are there already: the first of them may still be waiting.
        self.broker.subscribe(channel).await?;
        if let Some(info) = presence {
            metrics.action(Action::AddPresence);
            self.presence.add(channel, &info.client, info.clone()).await?;
        }
        if let Some(query) = read {
            let wants_items = query.limit != Some(0);
            metrics.action(if wants_items {
                Action::HistoryRecover
            } else {
                Action::HistoryStreamTop
            });
        }
        match read {
            Some(query) => self.broker.history(channel, query.clone()).await.map(Some),
            None => Ok(None),
        }
    }

    async fn detach(&self, detach: Detach) {
        let Detach {
            channel,
            subscriber,
            presence,
            leave,
        } = detach;
        let metrics = &self.context.metrics;
        let unsubscribing = async {
            if self.hub.leave(&channel, &subscriber) {
                metrics.action(Action::BrokerUnsubscribe);
                log_failure(&channel, self.broker.unsubscribe(&channel).await);
            }
        };
        let removing = async {
            if let Some(info) = &presence {
                metrics.action(Action::RemovePresence);
                log_failure(
                    &channel,
                    self.presence.remove(&channel, &info.client, &info.user).await,
                );
            }
        };
        let reporting = async {
            if let Some(info) = leave {
                metrics.broker_sent(FrameType::PushLeave);
                log_failure(&channel, self.broker.publish_leave(&channel, info).await);
            }
        };
        // All begun at once, and so before whatever the client does next with the channel.
        tokio::join!(unsubscribing, removing, reporting);
        tracing::debug!(client = %subscriber.handle().client, %channel, "client unsubscribed from channel");
    }
}

fn done(result: Result<(), EngineError>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(error),
    }
}

/// Leaving cannot be refused: a failing engine forgets by its own times to live.
fn log_failure(channel: &str, result: Result<(), EngineError>) {
    if let Err(error) = result {
        tracing::error!(channel, %error, "error leaving channel");
    }
}
