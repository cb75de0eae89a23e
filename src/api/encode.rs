//! Results as JSON (server-api.md 1.4): fields in the order of the schema, zero values left out but for those that
//! the specification marks "always", keys of maps sorted.

use super::message::{
    BlockUserResult, BroadcastResult, ChannelsResult, ClientInfo, DisconnectResult, Error,
    HistoryRemoveResult, HistoryResult, InfoResult, InvalidateUserTokensResult, Metrics, NodeResult,
    PresenceResult, PresenceStatsResult, Process, Publication, PublishResponse, PublishResult, RefreshResult,
    Reply, RevokeTokenResult, RpcResult, SubscribeResult, UnblockUserResult, UnsubscribeResult,
};
use crate::protocol::json::{InvalidJson, JsonWriter};

/// A message of a response.
pub(super) trait Encode {
    /// Writes the fields of the object that the caller has opened.
    ///
    /// # Errors
    /// When embedded JSON is none: a publication came in by another way than JSON.
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson>;

    /// Writes the message as the value of a field.
    fn encode_field(&self, name: &str, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.name(name);
        self.encode_value(json)
    }

    /// Writes the message as a value.
    fn encode_value(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.begin_object();
        self.encode(json)?;
        json.end_object();
        Ok(())
    }
}

fn optional(name: &str, message: Option<&impl Encode>, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
    message.map_or(Ok(()), |message| message.encode_field(name, json))
}

fn repeated(name: &str, messages: &[impl Encode], json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
    json.name(name);
    json.begin_array();
    messages
        .iter()
        .try_for_each(|message| message.encode_value(json))?;
    json.end_array();
    Ok(())
}

impl Encode for Error {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.u64_field_nonzero("code", self.code.into());
        json.str_field_nonzero("message", &self.message);
        Ok(())
    }
}

impl Encode for PublishResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.u64_field_nonzero("offset", self.offset);
        json.str_field_nonzero("epoch", &self.epoch);
        Ok(())
    }
}

impl Encode for PublishResponse {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        optional("error", self.error.as_ref(), json)?;
        optional("result", self.result.as_ref(), json)
    }
}

impl Encode for BroadcastResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        if self.responses.is_empty() {
            return Ok(());
        }
        repeated("responses", &self.responses, json)
    }
}

macro_rules! empty {
    ($($result:ty),*) => {$(
        impl Encode for $result {
            fn encode(&self, _: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
                Ok(())
            }
        }
    )*};
}

empty!(
    SubscribeResult,
    UnsubscribeResult,
    DisconnectResult,
    RefreshResult,
    HistoryRemoveResult,
    BlockUserResult,
    UnblockUserResult,
    RevokeTokenResult,
    InvalidateUserTokensResult
);

impl Encode for ClientInfo {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.str_field("user", &self.user);
        json.str_field("client", &self.client);
        json.compact_html_field_nonzero("conn_info", &self.conn_info)?;
        json.compact_html_field_nonzero("chan_info", &self.chan_info)
    }
}

impl Encode for PresenceResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.name("presence");
        json.begin_object();
        for (client, info) in &self.presence {
            json.key(client);
            info.encode_value(json)?;
        }
        json.end_object();
        Ok(())
    }
}

impl Encode for PresenceStatsResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.u64_field("num_clients", self.num_clients.into());
        json.u64_field("num_users", self.num_users.into());
        Ok(())
    }
}

impl Encode for Publication {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.compact_html_field_nonzero("data", &self.data)?;
        optional("info", self.info.as_ref(), json)?;
        json.u64_field_nonzero("offset", self.offset);
        if !self.tags.is_empty() {
            json.object_field("tags", |json| {
                for (key, value) in &self.tags {
                    json.key(key);
                    json.str(value);
                }
            });
        }
        Ok(())
    }
}

impl Encode for HistoryResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        repeated("publications", &self.publications, json)?;
        json.str_field("epoch", &self.epoch);
        json.u64_field("offset", self.offset);
        Ok(())
    }
}

impl Encode for ChannelsResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.object_field("channels", |json| {
            for (channel, info) in &self.channels {
                json.key(channel);
                json.object(|json| json.u64_field_nonzero("num_clients", info.num_clients.into()));
            }
        });
        Ok(())
    }
}

impl Encode for InfoResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        repeated("nodes", &self.nodes, json)
    }
}

impl Encode for NodeResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.str_field("uid", &self.uid);
        json.str_field("name", &self.name);
        json.str_field("version", &self.version);
        json.u64_field("num_clients", self.num_clients.into());
        json.u64_field("num_users", self.num_users.into());
        json.u64_field("num_channels", self.num_channels.into());
        json.u64_field_nonzero("uptime", self.uptime.into());
        optional("metrics", self.metrics.as_ref(), json)?;
        optional("process", self.process.as_ref(), json)?;
        json.u64_field("num_subs", self.num_subs.into());
        Ok(())
    }
}

impl Encode for Metrics {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.name("interval");
        json.f64(self.interval);
        // Published clients require `items` (server-api.md 7).
        json.object_field("items", |json| {
            for (key, value) in &self.items {
                json.key(key);
                json.f64(*value);
            }
        });
        Ok(())
    }
}

impl Encode for Process {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.name("cpu");
        json.f64(self.cpu);
        json.i64_field("rss", self.rss);
        Ok(())
    }
}

impl Encode for RpcResult {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        json.compact_html_field_nonzero("data", &self.data)
    }
}

impl Encode for Reply {
    fn encode(&self, json: &mut JsonWriter<'_>) -> Result<(), InvalidJson> {
        optional("error", self.error.as_ref(), json)?;
        optional("publish", self.publish.as_ref(), json)?;
        optional("broadcast", self.broadcast.as_ref(), json)?;
        optional("subscribe", self.subscribe.as_ref(), json)?;
        optional("unsubscribe", self.unsubscribe.as_ref(), json)?;
        optional("disconnect", self.disconnect.as_ref(), json)?;
        optional("presence", self.presence.as_ref(), json)?;
        optional("presence_stats", self.presence_stats.as_ref(), json)?;
        optional("history", self.history.as_ref(), json)?;
        optional("history_remove", self.history_remove.as_ref(), json)?;
        optional("info", self.info.as_ref(), json)?;
        optional("rpc", self.rpc.as_ref(), json)?;
        optional("refresh", self.refresh.as_ref(), json)?;
        optional("channels", self.channels.as_ref(), json)?;
        optional("block_user", self.block_user.as_ref(), json)?;
        optional("unblock_user", self.unblock_user.as_ref(), json)?;
        optional("revoke_token", self.revoke_token.as_ref(), json)?;
        optional(
            "invalidate_user_tokens",
            self.invalidate_user_tokens.as_ref(),
            json,
        )
    }
}
