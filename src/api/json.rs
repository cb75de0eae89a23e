//! A method called with JSON and answered with JSON, without the HTTP around it.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess};

use super::batch::Request;
use super::encode::Encode;
use super::observer::Fault;
use super::{Api, ApiError, Method, Operations};
use crate::protocol::json::read::{self, JsonMessage};
use crate::protocol::json::{InvalidJson, JsonWriter};

/// Why a call was not answered with a result.
#[derive(Debug, thiserror::Error)]
pub enum JsonCallError {
    /// The request is not JSON of that method's request; nothing was done.
    #[error("malformed request: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The method answers with an error.
    #[error(transparent)]
    Answered(#[from] ApiError),
    /// The method was carried out, but its result is not JSON. The writer holds a part of it.
    #[error(transparent)]
    Unencodable(#[from] InvalidJson),
}

impl<O: Operations> Api<O> {
    /// Calls a method. On success the fields of the response have been written to `json`, in which the caller has
    /// opened an object: `result`, or for a batch `replies`. When the method answers with an error, nothing has.
    ///
    /// # Errors
    /// See [`JsonCallError`].
    pub async fn call_json(
        &self,
        method: Method,
        request: &[u8],
        json: &mut JsonWriter<'_>,
    ) -> Result<(), JsonCallError> {
        // What waits here is as large as the largest method; all but the most frequent one wait on the heap.
        let outcome = match method {
            Method::Batch => Box::pin(self.run_batch_json(request, json)).await,
            Method::Publish => run(request, json, |request| self.publish(request)).await,
            Method::Broadcast => Box::pin(run(request, json, |request| self.broadcast(request))).await,
            Method::Subscribe => Box::pin(run(request, json, |request| self.subscribe(request))).await,
            Method::Unsubscribe => Box::pin(run(request, json, |request| self.unsubscribe(request))).await,
            Method::Disconnect => Box::pin(run(request, json, |request| self.disconnect(request))).await,
            Method::Refresh => Box::pin(run(request, json, |request| self.refresh(request))).await,
            Method::Presence => Box::pin(run(request, json, |request| self.presence(request))).await,
            Method::PresenceStats => {
                Box::pin(run(request, json, |request| self.presence_stats(request))).await
            }
            Method::History => Box::pin(run(request, json, |request| self.history(request))).await,
            Method::HistoryRemove => {
                Box::pin(run(request, json, |request| self.history_remove(request))).await
            }
            Method::Channels => Box::pin(run(request, json, |request| self.channels(request))).await,
            Method::Info => Box::pin(run(request, json, |request| self.info(request))).await,
            Method::Rpc => Box::pin(run(request, json, |request| self.rpc(request))).await,
            Method::BlockUser => Box::pin(run(request, json, |request| self.block_user(request))).await,
            Method::UnblockUser => Box::pin(run(request, json, |request| self.unblock_user(request))).await,
            Method::RevokeToken => Box::pin(run(request, json, |request| self.revoke_token(request))).await,
            Method::InvalidateUserTokens => {
                Box::pin(run(request, json, |request| self.invalidate_user_tokens(request))).await
            }
        };
        match &outcome {
            Err(JsonCallError::Malformed(_)) => self.fault(Some(method), Fault::Unmarshal),
            Err(JsonCallError::Unencodable(_)) => self.fault(Some(method), Fault::Marshal),
            // The method itself told the observer.
            Err(JsonCallError::Answered(_)) | Ok(()) => {}
        }
        outcome
    }

    /// Replies are written as they come and not collected: most are much smaller written than held.
    async fn run_batch_json(&self, request: &[u8], json: &mut JsonWriter<'_>) -> Result<(), JsonCallError> {
        let Batch { commands, parallel } = serde_json::from_slice(request)?;
        let Some(commands) = commands.filter(|commands| !commands.is_empty()) else {
            self.run_batch(Vec::new(), parallel, drop).await;
            return Ok(());
        };
        json.name("replies");
        json.begin_array();
        let mut outcome = Ok(());
        self.run_batch(commands, parallel, |reply| {
            if outcome.is_ok() {
                outcome = reply.encode_value(json);
            }
        })
        .await;
        json.end_array();
        Ok(outcome?)
    }
}

async fn run<Q, R, F>(
    request: &[u8],
    json: &mut JsonWriter<'_>,
    method: impl FnOnce(Q) -> F,
) -> Result<(), JsonCallError>
where
    Q: DeserializeOwned,
    R: Encode,
    F: Future<Output = Result<R, ApiError>>,
{
    let result = method(serde_json::from_slice(request)?).await?;
    Ok(result.encode_field("result", json)?)
}

/// A batch in which a missing command can be told from an empty one.
#[derive(Default)]
struct Batch {
    commands: Option<Vec<Request>>,
    parallel: bool,
}

impl JsonMessage for Batch {
    const FIELDS: &'static [&'static str] = &["commands", "parallel"];

    fn read_field<'de, A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
        match index {
            0 => self.commands = read::value(map)?,
            _ => self.parallel = read::value(map)?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::message(deserializer)
    }
}
