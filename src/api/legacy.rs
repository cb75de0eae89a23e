//! The envelope of former versions (server-api.md 6): one endpoint, any number of concatenated commands that name
//! their method. Answered line by line, always with 200 unless a command cannot be read.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::encode::Encode;
use super::observer::Fault;
use super::{Api, ApiError, JsonCallError, Method, Operations};
use crate::protocol::json::JsonWriter;
use crate::protocol::json::read::{self, JsonField, JsonMessage};

impl<O: Operations> Api<O> {
    /// Carries out the commands of a body in order and returns the body of the response.
    ///
    /// # Errors
    /// [`JsonCallError::Malformed`] at the first command that cannot be read; those before it have been carried
    /// out. [`JsonCallError::Unencodable`] when a result is not JSON.
    pub async fn call_legacy(&self, body: &[u8]) -> Result<Vec<u8>, JsonCallError> {
        let mut out = Vec::new();
        if body.is_empty() {
            self.fault(None, Fault::Unmarshal);
            return Err(serde_json::Error::custom("empty body").into());
        }
        for command in serde_json::Deserializer::from_slice(body).into_iter::<Command>() {
            let command = command.inspect_err(|_| self.fault(None, Fault::Unmarshal))?;
            if !out.is_empty() {
                out.push(b'\n');
            }
            self.run_legacy(&command, &mut JsonWriter::new(&mut out)).await?;
        }
        Ok(out)
    }

    async fn run_legacy(&self, command: &Command, json: &mut JsonWriter<'_>) -> Result<(), JsonCallError> {
        json.begin_object();
        json.u64_field_nonzero("id", command.id.into());
        let outcome = match command.method.0 {
            Some(Method::Info) => self.call_json(Method::Info, b"{}", json).await,
            Some(method) => self.call_json(method, &command.params, json).await,
            None => Err(ApiError::NotFound.into()),
        };
        let error = match outcome {
            Ok(()) => None,
            Err(JsonCallError::Answered(error)) => Some(error),
            Err(JsonCallError::Malformed(_)) => Some(ApiError::BadRequest),
            Err(error @ JsonCallError::Unencodable(_)) => return Err(error),
        };
        if let Some(error) = error {
            error.to_message().encode_field("error", json)?;
        }
        json.end_object();
        Ok(())
    }
}

/// One command of a body.
#[derive(Default)]
struct Command {
    id: u32,
    method: Named,
    params: Bytes,
}

impl JsonMessage for Command {
    const FIELDS: &'static [&'static str] = &["id", "method", "params"];

    fn read_field<'de, A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
        match index {
            0 => self.id = read::value(map)?,
            1 => self.method = read::value(map)?,
            _ => self.params = read::value(map)?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::message(deserializer)
    }
}

/// The method of a command; `None` if it is not among those answered here.
struct Named(Option<Method>);

impl Default for Named {
    fn default() -> Self {
        Self::from_number(0)
    }
}

impl Named {
    fn from_number(number: i64) -> Self {
        let index = usize::try_from(number).ok();
        let name = index
            .and_then(|index| NAMES.get(index))
            .copied()
            .unwrap_or_default();
        Self(Method::from_name(name))
    }

    fn from_name(name: &str) -> Option<Self> {
        let known = NAMES
            .iter()
            .find(|known| !known.is_empty() && known.eq_ignore_ascii_case(name))?;
        Some(Self(Method::from_name(known)))
    }
}

impl<'de> JsonField<'de> for Named {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamedVisitor)
    }
}

struct NamedVisitor;

impl Visitor<'_> for NamedVisitor {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or number of a method")
    }

    fn visit_unit<E>(self) -> Result<Named, E> {
        Ok(Named::default())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Named, E> {
        Ok(Named::from_number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Named, E> {
        Ok(Named::from_number(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Named, E> {
        Named::from_name(name).ok_or_else(|| E::custom("unknown method"))
    }
}

/// Names by number. Number 13 was never given. A batch has no number.
const NAMES: [&str; 40] = [
    "publish",
    "broadcast",
    "unsubscribe",
    "disconnect",
    "presence",
    "presence_stats",
    "history",
    "history_remove",
    "channels",
    "info",
    "rpc",
    "subscribe",
    "refresh",
    "",
    "connections",
    "update_user_status",
    "get_user_status",
    "delete_user_status",
    "block_user",
    "unblock_user",
    "revoke_token",
    "invalidate_user_tokens",
    "device_register",
    "device_update",
    "device_remove",
    "device_list",
    "device_topic_list",
    "device_topic_update",
    "user_topic_list",
    "user_topic_update",
    "send_push_notification",
    "update_push_status",
    "cancel_push",
    "map_publish",
    "map_remove",
    "map_read_state",
    "map_read_stream",
    "map_stats",
    "map_clear",
    "shared_poll_publish",
];
