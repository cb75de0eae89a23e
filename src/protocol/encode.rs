//! From replies to frames (protocol.md 1.2, 1.3): fields in ascending order of their numbers, zero values left
//! out but for those that are always written.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use serde::de::IgnoredAny;
use tidegate_transports::{Encoding, Frame};

use super::Address;
use super::json::JsonWriter;
use super::message::{
    ClientInfo, ConnectResult, Error, HistoryResult, PresenceResult, Publication, Push, Reply,
    SubscribeResult,
};

/// A payload that a JSON connection cannot carry; it is closed with 3506.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("payload is not valid JSON")]
pub struct EncodeError;

/// Room for most replies: what does not fit, grows.
const USUAL_REPLY: usize = 160;

/// Encodes one reply or push, without the framing of a transport.
///
/// # Errors
/// [`EncodeError`] if the encoding is JSON and some payload is not.
pub fn encode_reply(reply: &Reply, encoding: Encoding) -> Result<Frame, EncodeError> {
    let payload = match encoding {
        Encoding::Protobuf => Bytes::from(reply.encode_to_vec()),
        Encoding::Json => Bytes::from(Encoder::encode(USUAL_REPLY, |e| e.reply(reply))?),
    };
    Ok(Frame::new(payload))
}

/// Writes messages; remembers whether some payload was not JSON, so that the code below reads as the schema.
pub(super) struct Encoder<'a> {
    json: JsonWriter<'a>,
    failed: bool,
}

impl Encoder<'_> {
    /// One message, in a buffer with room for `size` bytes to begin with.
    pub(super) fn encode(
        size: usize,
        message: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::with_capacity(size);
        let mut encoder = Encoder {
            json: JsonWriter::new(&mut out),
            failed: false,
        };
        message(&mut encoder);
        if encoder.failed {
            return Err(EncodeError);
        }
        Ok(out)
    }

    /// The push of a publication as the engine has it.
    pub(super) fn publication_push(
        &mut self,
        address: Address<'_>,
        publication: &crate::engine::Publication,
        epoch: &str,
    ) {
        self.object(|e| {
            e.field("push", |e| {
                e.json.u64_field_nonzero("id", address.number());
                e.json.str_field_nonzero("channel", address.name());
                e.field("pub", |e| {
                    e.payload("data", &publication.data);
                    e.message("info", publication.info.as_deref(), |e, info| {
                        e.info_fields(&info.user, &info.client, &info.conn_info, &info.chan_info);
                    });
                    e.json.u64_field_nonzero("offset", publication.offset);
                    e.tags(&publication.tags);
                    e.json.str_field_nonzero("channel", publication.origin());
                    e.json.str_field_nonzero("epoch", epoch);
                    e.json.u64_field_nonzero("version", publication.version);
                });
            });
        });
    }

    fn reply(&mut self, reply: &Reply) {
        self.object(|e| {
            e.json.u64_field_nonzero("id", reply.id.into());
            e.message("error", reply.error.as_ref(), Self::error);
            e.message("push", reply.push.as_ref(), Self::push);
            e.message("connect", reply.connect.as_ref(), Self::connect);
            e.message("subscribe", reply.subscribe.as_ref(), Self::subscribe);
            e.message("unsubscribe", reply.unsubscribe.as_ref(), |_, _| {});
            e.message("publish", reply.publish.as_ref(), |_, _| {});
            e.message("presence", reply.presence.as_ref(), Self::presence);
            e.message("presence_stats", reply.presence_stats.as_ref(), |e, stats| {
                e.json.u64_field("num_clients", stats.num_clients.into());
                e.json.u64_field("num_users", stats.num_users.into());
            });
            e.message("history", reply.history.as_ref(), Self::history);
            e.message("ping", reply.ping.as_ref(), |_, _| {});
            e.message("rpc", reply.rpc.as_ref(), |e, rpc| e.payload("data", &rpc.data));
            e.message("refresh", reply.refresh.as_ref(), |e, refresh| {
                e.json.str_field_nonzero("client", &refresh.client);
                e.json.str_field_nonzero("version", &refresh.version);
                e.json.bool_field_nonzero("expires", refresh.expires);
                e.json.u64_field_nonzero("ttl", refresh.ttl.into());
            });
            e.message("sub_refresh", reply.sub_refresh.as_ref(), |e, refresh| {
                e.json.bool_field_nonzero("expires", refresh.expires);
                e.json.u64_field_nonzero("ttl", refresh.ttl.into());
                e.publications("items", &refresh.items, false);
            });
        });
    }

    fn error(&mut self, error: &Error) {
        self.json.u64_field_nonzero("code", error.code.into());
        self.json.str_field_nonzero("message", &error.message);
        self.json.bool_field_nonzero("temporary", error.temporary);
    }

    fn push(&mut self, push: &Push) {
        self.json.i64_field_nonzero("id", push.id);
        self.json.str_field_nonzero("channel", &push.channel);
        self.message("pub", push.r#pub.as_ref(), Self::publication);
        self.message("join", push.join.as_ref(), |e, join| {
            e.message("info", join.info.as_ref(), Self::info);
        });
        self.message("leave", push.leave.as_ref(), |e, leave| {
            e.message("info", leave.info.as_ref(), Self::info);
        });
        self.message("unsubscribe", push.unsubscribe.as_ref(), |e, unsubscribe| {
            e.json.u64_field_nonzero("code", unsubscribe.code.into());
            e.json.str_field_nonzero("reason", &unsubscribe.reason);
        });
        self.message("message", push.message.as_ref(), |e, message| {
            e.payload("data", &message.data);
        });
        self.message("subscribe", push.subscribe.as_ref(), |e, subscribe| {
            e.json.bool_field_nonzero("recoverable", subscribe.recoverable);
            e.json.str_field_nonzero("epoch", &subscribe.epoch);
            e.json.u64_field_nonzero("offset", subscribe.offset);
            e.json.bool_field_nonzero("positioned", subscribe.positioned);
            e.payload("data", &subscribe.data);
        });
        self.message("connect", push.connect.as_ref(), |e, connect| {
            e.json.str_field_nonzero("client", &connect.client);
            e.json.str_field_nonzero("version", &connect.version);
            e.payload("data", &connect.data);
            e.subs(&connect.subs);
            e.json.bool_field_nonzero("expires", connect.expires);
            e.json.u64_field_nonzero("ttl", connect.ttl.into());
            e.json.u64_field_nonzero("ping", connect.ping.into());
            e.json.bool_field_nonzero("pong", connect.pong);
            e.json.str_field_nonzero("session", &connect.session);
            e.json.str_field_nonzero("node", &connect.node);
            e.json.i64_field_nonzero("time", connect.time);
        });
        self.message("disconnect", push.disconnect.as_ref(), |e, disconnect| {
            e.json.u64_field_nonzero("code", disconnect.code.into());
            e.json.str_field_nonzero("reason", &disconnect.reason);
            e.json.bool_field_nonzero("reconnect", disconnect.reconnect);
        });
        self.message("refresh", push.refresh.as_ref(), |e, refresh| {
            e.json.bool_field_nonzero("expires", refresh.expires);
            e.json.u64_field_nonzero("ttl", refresh.ttl.into());
        });
    }

    fn connect(&mut self, connect: &ConnectResult) {
        self.json.str_field_nonzero("client", &connect.client);
        self.json.str_field_nonzero("version", &connect.version);
        self.json.bool_field_nonzero("expires", connect.expires);
        self.json.u64_field_nonzero("ttl", connect.ttl.into());
        self.payload("data", &connect.data);
        self.subs(&connect.subs);
        self.json.u64_field_nonzero("ping", connect.ping.into());
        self.json.bool_field_nonzero("pong", connect.pong);
        self.json.str_field_nonzero("session", &connect.session);
        self.json.str_field_nonzero("node", &connect.node);
        self.json.i64_field_nonzero("time", connect.time);
    }

    fn subs(&mut self, subs: &BTreeMap<String, SubscribeResult>) {
        if subs.is_empty() {
            return;
        }
        self.field("subs", |e| {
            for (channel, result) in subs {
                e.json.key(channel);
                e.object(|e| e.subscribe(result));
            }
        });
    }

    fn subscribe(&mut self, result: &SubscribeResult) {
        self.json.bool_field_nonzero("expires", result.expires);
        self.json.u64_field_nonzero("ttl", result.ttl.into());
        self.json.bool_field_nonzero("recoverable", result.recoverable);
        self.json.str_field_nonzero("epoch", &result.epoch);
        self.publications("publications", &result.publications, false);
        self.json.bool_field_nonzero("recovered", result.recovered);
        self.json.u64_field_nonzero("offset", result.offset);
        self.json.bool_field_nonzero("positioned", result.positioned);
        self.payload("data", &result.data);
        self.json
            .bool_field_nonzero("was_recovering", result.was_recovering);
        self.json.bool_field_nonzero("delta", result.delta);
        self.json.i64_field_nonzero("id", result.id);
        self.json.i64_field_nonzero("type", result.r#type.into());
        self.json.i64_field_nonzero("phase", result.phase.into());
        self.json.str_field_nonzero("cursor", &result.cursor);
        self.publications("state", &result.state, false);
        self.json
            .u64_field_nonzero("publish_debounce", result.publish_debounce.into());
    }

    fn presence(&mut self, result: &PresenceResult) {
        self.field("presence", |e| {
            for (client, info) in &result.presence {
                e.json.key(client);
                e.object(|e| e.info(info));
            }
        });
    }

    fn history(&mut self, result: &HistoryResult) {
        self.publications("publications", &result.publications, true);
        self.json.str_field("epoch", &result.epoch);
        self.json.u64_field("offset", result.offset);
    }

    fn publication(&mut self, publication: &Publication) {
        self.payload("data", &publication.data);
        self.message("info", publication.info.as_ref(), Self::info);
        self.json.u64_field_nonzero("offset", publication.offset);
        self.tags(&publication.tags);
        self.json.bool_field_nonzero("delta", publication.delta);
        self.json.i64_field_nonzero("time", publication.time);
        self.json.str_field_nonzero("channel", &publication.channel);
        self.json.str_field_nonzero("key", &publication.key);
        self.json.bool_field_nonzero("removed", publication.removed);
        self.json.i64_field_nonzero("score", publication.score);
        self.json.str_field_nonzero("epoch", &publication.epoch);
        self.json.u64_field_nonzero("version", publication.version);
    }

    fn tags(&mut self, tags: &BTreeMap<String, String>) {
        if tags.is_empty() {
            return;
        }
        self.field("tags", |e| {
            for (key, value) in tags {
                e.json.key(key);
                e.json.str(value);
            }
        });
    }

    fn info(&mut self, info: &ClientInfo) {
        self.info_fields(&info.user, &info.client, &info.conn_info, &info.chan_info);
    }

    fn info_fields(&mut self, user: &str, client: &str, conn_info: &[u8], chan_info: &[u8]) {
        self.json.str_field("user", user);
        self.json.str_field("client", client);
        self.payload("conn_info", conn_info);
        self.payload("chan_info", chan_info);
    }

    fn publications(&mut self, name: &str, publications: &[Publication], always: bool) {
        if publications.is_empty() && !always {
            return;
        }
        self.json.name(name);
        self.json.begin_array();
        for publication in publications {
            self.object(|e| e.publication(publication));
        }
        self.json.end_array();
    }

    /// Embedded JSON: checked here, payload by payload, because a broken one would break the whole message.
    fn payload(&mut self, name: &str, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if serde_json::from_slice::<IgnoredAny>(data).is_err() {
            self.failed = true;
            return;
        }
        self.json.raw_field(name, data);
    }

    fn message<M>(&mut self, name: &str, message: Option<&M>, fields: impl FnOnce(&mut Self, &M)) {
        if let Some(message) = message {
            self.field(name, |e| fields(e, message));
        }
    }

    fn field(&mut self, name: &str, fields: impl FnOnce(&mut Self)) {
        self.json.name(name);
        self.object(fields);
    }

    fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.json.begin_object();
        fields(self);
        self.json.end_object();
    }
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;

    fn json(reply: &Reply) -> String {
        let frame = encode_reply(reply, Encoding::Json).expect("encodable");
        String::from_utf8(frame.payload().to_vec()).expect("UTF-8")
    }

    #[test]
    fn samples_of_the_specification() {
        assert_eq!(json(&Reply::default()), "{}");
        let unsubscribe = Some(message::UnsubscribeResult::default());
        assert_eq!(
            json(&Reply {
                id: 3,
                unsubscribe,
                ..Reply::default()
            }),
            r#"{"id":3,"unsubscribe":{}}"#
        );
        let publication = Publication {
            data: Bytes::from_static(b"{\"k\": 0}\n"),
            offset: 1,
            tags: BTreeMap::from([("t".to_owned(), "0".to_owned())]),
            epoch: "MRIqSnnE".to_owned(),
            ..Publication::default()
        };
        let push = Push {
            channel: "h<".to_owned(),
            r#pub: Some(publication),
            ..Push::default()
        };
        assert_eq!(
            json(&Reply {
                push: Some(push),
                ..Reply::default()
            }),
            r#"{"push":{"channel":"h\u003c","pub":{"data":{"k": 0},"offset":1,"tags":{"t":"0"},"epoch":"MRIqSnnE"}}}"#
        );
        let history = Some(HistoryResult::default());
        assert_eq!(
            json(&Reply {
                id: 1,
                history,
                ..Reply::default()
            }),
            r#"{"id":1,"history":{"publications":[],"epoch":"","offset":0}}"#
        );
        let presence = Some(PresenceResult::default());
        assert_eq!(
            json(&Reply {
                id: 1,
                presence,
                ..Reply::default()
            }),
            r#"{"id":1,"presence":{"presence":{}}}"#
        );
    }

    #[test]
    fn broken_payloads_do_not_leave_json() {
        let publication = Publication {
            data: Bytes::from_static(b"{},{}"),
            ..Publication::default()
        };
        let push = Push {
            r#pub: Some(publication),
            ..Push::default()
        };
        let reply = Reply {
            push: Some(push),
            ..Reply::default()
        };
        assert_eq!(encode_reply(&reply, Encoding::Json), Err(EncodeError));
        assert!(encode_reply(&reply, Encoding::Protobuf).is_ok());
    }
}
