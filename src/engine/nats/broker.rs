//! Publish/subscribe, and history where JetStream keeps it.

use std::sync::{Arc, OnceLock};

use super::jetstream::JetStream;
use super::link::Link;
use super::listener::Listener;
use super::payload;
use crate::engine::{
    Broker, ClientInfo, EngineError, History, HistoryQuery, Publication, PublishOptions, Published, Receiver,
    Wait,
};

/// Broker over NATS. What it publishes comes back over the subscription like what others publish.
pub struct NatsBroker {
    link: Arc<Link>,
    history: Option<Arc<JetStream>>,
    listener: OnceLock<Listener>,
}

impl NatsBroker {
    /// A broker that listens as soon as it is attached. Without `history` publications have no offsets, and
    /// idempotency keys and versions are ignored.
    #[must_use]
    pub fn new(link: Arc<Link>, history: Option<Arc<JetStream>>) -> Self {
        Self {
            link,
            history,
            listener: OnceLock::new(),
        }
    }

    fn listener(&self) -> Result<&Listener, EngineError> {
        let listener = self.listener.get();
        listener.ok_or_else(|| EngineError::Unavailable("not attached".to_owned()))
    }

    fn history_in(&self) -> Result<&JetStream, EngineError> {
        self.history.as_deref().ok_or(EngineError::NotAvailable)
    }

    async fn publish_plainly(
        &self,
        channel: &str,
        subject: String,
        publication: Publication,
        delta: bool,
    ) -> Result<Published, EngineError> {
        let message = if self.link.subjects().is_raw() {
            publication.data
        } else {
            payload::encode_publication(channel, publication, delta)
        };
        self.link.publish(subject, message).await?;
        Ok(Published {
            position: None,
            suppressed: None,
        })
    }

    /// Joins and leaves of a pattern go to whoever listens to the same pattern. In raw mode there are none.
    async fn publish_presence(&self, channel: &str, message: bytes::Bytes) -> Result<(), EngineError> {
        if self.link.subjects().is_raw() {
            return Ok(());
        }
        let subject = self.link.subjects().subscribing(channel)?;
        self.link.publish(subject, message).await
    }
}

impl Broker for NatsBroker {
    fn attach(&self, receiver: Arc<dyn Receiver>) {
        // The node owns the broker: it must not own the node in turn. A second receiver would be a second node on one
        // broker, which does not happen.
        let _ = self
            .listener
            .set(Listener::start(self.link.clone(), Arc::downgrade(&receiver)));
    }

    fn ready(&self) -> Result<(), EngineError> {
        match &self.history {
            Some(history) => history.ready(),
            None => self.link.ready(),
        }
    }

    fn subscribe<'a>(&'a self, channel: &'a str) -> Wait<'a, ()> {
        Box::pin(async move {
            let subject = self.link.subjects().subscribing(channel)?;
            self.listener()?.subscribe(channel, subject).await
        })
    }

    fn unsubscribe<'a>(&'a self, channel: &'a str) -> Wait<'a, ()> {
        Box::pin(async move {
            self.listener()?.unsubscribe(channel);
            Ok(())
        })
    }

    fn publish<'a>(
        &'a self,
        channel: &'a str,
        publication: Publication,
        options: PublishOptions,
    ) -> Wait<'a, Published> {
        Box::pin(async move {
            let subject = self.link.subjects().publishing(channel)?;
            match (&self.history, options.retention, &options.idempotency_key) {
                (Some(history), Some(retention), _) => {
                    history.publish(channel, publication, &options, retention).await
                }
                (Some(history), None, Some(key)) => {
                    history
                        .publish_once(channel, publication, key, options.delta)
                        .await
                }
                _ => {
                    self.publish_plainly(channel, subject, publication, options.delta)
                        .await
                }
            }
        })
    }

    fn publish_join<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        Box::pin(async move {
            self.publish_presence(channel, payload::encode_join(channel, &info))
                .await
        })
    }

    fn publish_leave<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        Box::pin(async move {
            self.publish_presence(channel, payload::encode_leave(channel, &info))
                .await
        })
    }

    fn history<'a>(&'a self, channel: &'a str, query: HistoryQuery) -> Wait<'a, History> {
        Box::pin(async move {
            let history = self.history_in()?;
            self.link.subjects().publishing(channel)?;
            history.history(channel, &query).await
        })
    }

    fn remove_history<'a>(&'a self, channel: &'a str) -> Wait<'a, ()> {
        Box::pin(async move {
            let history = self.history_in()?;
            self.link.subjects().publishing(channel)?;
            history.remove(channel).await
        })
    }
}
