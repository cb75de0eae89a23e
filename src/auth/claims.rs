//! Claims: types first, meaning later (channels-and-auth.md 4.2 to 4.6).
//!
//! Reading is separate from granting because they are different steps of the verification order: a claim of the
//! wrong type makes a token invalid before anything else is looked at, while bad base64 or a missing channel
//! only matter in a token that is otherwise good.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;

use super::object::{Object, WrongType, integer, plain_text, raw, timestamp, value};
use super::token::{ConnectToken, InvalidReason, SubscribeOptions, SubscribeToken, TokenError};
use super::verifier::Purpose;
use crate::channels::{Capabilities, Capability, Operations, Overrides};
use crate::protocol::message::FilterNode;
use crate::tags::Filter;

/// The claims known for one purpose, of the right types.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) audience: Vec<String>,
    /// The user, from `sub` or the configured claim.
    user: String,
    token_id: Option<String>,
    issued_at: Option<i64>,
    expires: Option<i64>,
    not_before: Option<i64>,
    expire_at: Option<i64>,
    channel: String,
    client: String,
    channels: Vec<String>,
    subs: Vec<(String, RawOptions)>,
    meta: Option<Bytes>,
    capabilities: Option<Box<Capabilities>>,
    allow: Operations,
    /// Of the token itself.
    options: RawOptions,
}

/// Options of one subscription; `info` is the connection's in a connection token.
#[derive(Default)]
struct RawOptions {
    info: Option<Bytes>,
    b64info: Option<String>,
    data: Option<Bytes>,
    b64data: Option<String>,
    overrides: Overrides,
    tags_filter: Option<FilterNode>,
}

impl Claims {
    /// Reads the claims of a token that is used for `purpose`. Without `user_claim` the user is `sub`.
    pub(super) fn parse(payload: &[u8], purpose: Purpose, user_claim: &str) -> Result<Self, InvalidReason> {
        Self::read(payload, purpose, user_claim).map_err(|WrongType| InvalidReason::Claims)
    }

    fn read(payload: &[u8], purpose: Purpose, user_claim: &str) -> Result<Self, WrongType> {
        let mut claims = Self::default();
        let object = Object::parse(payload)?;
        let custom_user = (!user_claim.is_empty()).then(|| object.get(user_claim));
        for (name, raw) in object.into_folded() {
            claims.read_claim(&name, raw, purpose)?;
        }
        if let Some(custom_user) = custom_user {
            claims.user = custom_user.map_or(Ok(String::new()), plain_text)?;
        }
        Ok(claims)
    }

    fn read_claim(&mut self, name: &str, json: &RawValue, purpose: Purpose) -> Result<(), WrongType> {
        match (name, purpose) {
            ("sub", _) => self.user = value(json)?.unwrap_or_default(),
            ("iss", _) => self.issuer = value(json)?.unwrap_or_default(),
            ("aud", _) => self.audience = audience(json)?,
            ("jti", _) => self.token_id = value(json)?,
            ("exp", _) => self.expires = timestamp(json)?,
            ("nbf", _) => self.not_before = timestamp(json)?,
            ("iat", _) => self.issued_at = timestamp(json)?,
            ("expire_at", _) => self.expire_at = integer(json)?,
            ("channel", _) => self.channel = value(json)?.unwrap_or_default(),
            ("channels", Purpose::Connection) => self.channels = value(json)?.unwrap_or_default(),
            ("subs", Purpose::Connection) => self.subs = subs(json)?,
            ("meta", Purpose::Connection) => self.meta = raw(json),
            ("caps", Purpose::Connection) => self.capabilities = capabilities(json)?,
            ("allow", Purpose::Subscription) => self.allow = operations(json)?,
            ("info", _) => self.options.info = raw(json),
            ("b64info", _) => self.options.b64info = value(json)?,
            ("client", Purpose::Subscription) => self.client = value(json)?.unwrap_or_default(),
            ("data", Purpose::Subscription) => self.options.data = raw(json),
            ("b64data", Purpose::Subscription) => self.options.b64data = value(json)?,
            ("override", Purpose::Subscription) => self.options.overrides = overrides(json)?,
            ("server_tags_filter", Purpose::Subscription) => self.options.tags_filter = value(json)?,
            _ => {}
        }
        Ok(())
    }

    /// Step 5 of the order: a subscription token does not open connections.
    pub(super) fn check_purpose(&self, purpose: Purpose) -> Result<(), InvalidReason> {
        match purpose {
            Purpose::Connection if !self.channel.is_empty() => Err(InvalidReason::UnexpectedChannel),
            Purpose::Connection | Purpose::Subscription => Ok(()),
        }
    }

    /// Step 6 of the order. A token that is not valid yet counts as expired as well: the client's way out, to
    /// fetch another, is the same.
    pub(super) fn check_time(&self, now_unix: i64) -> Result<(), TokenError> {
        let expired = self.expires.is_some_and(|time| time <= now_unix);
        let early = self.not_before.is_some_and(|time| time >= now_unix);
        if expired || early {
            Err(TokenError::Expired)
        } else {
            Ok(())
        }
    }

    /// Step 7 of the order, for a connection.
    pub(super) fn into_connect(self) -> Result<ConnectToken, TokenError> {
        let expire_at = self.grant_until();
        let info = info_of(self.options.info, self.options.b64info).map_err(|_| TokenError::InternalInfo)?;
        let mut subs = BTreeMap::new();
        for (channel, options) in self.subs {
            if !channel.is_empty() {
                subs.insert(channel, options.decode()?);
            }
        }
        if subs.is_empty() {
            let names = self.channels.into_iter().filter(|channel| !channel.is_empty());
            subs.extend(names.map(|channel| (channel, SubscribeOptions::default())));
        }
        Ok(ConnectToken {
            user: self.user,
            expire_at,
            info,
            meta: self.meta,
            subs,
            capabilities: self.capabilities,
            issued_at: self.issued_at,
            token_id: self.token_id,
        })
    }

    /// Step 7 of the order, for a subscription.
    pub(super) fn into_subscribe(self) -> Result<SubscribeToken, TokenError> {
        if self.channel.is_empty() {
            return Err(InvalidReason::MissingChannel.into());
        }
        let expire_at = self.grant_until();
        let SubscribeOptions {
            info,
            data,
            overrides,
            server_filter,
        } = self.options.decode()?;
        Ok(SubscribeToken {
            user: self.user,
            channel: self.channel,
            client: self.client,
            expire_at,
            info,
            data,
            overrides,
            server_filter,
            allow: self.allow,
            issued_at: self.issued_at,
            token_id: self.token_id,
        })
    }

    /// When what the token grants ends: `expire_at` if it is there, else `exp`; 0 is never.
    fn grant_until(&self) -> i64 {
        self.expire_at
            .map_or_else(|| self.expires.unwrap_or(0), |time| time.max(0))
    }
}

impl RawOptions {
    fn decode(self) -> Result<SubscribeOptions, InvalidReason> {
        Ok(SubscribeOptions {
            info: info_of(self.info, self.b64info)?,
            data: info_of(self.data, self.b64data)?,
            overrides: self.overrides,
            server_filter: self.tags_filter.map(server_filter).transpose()?,
        })
    }
}

fn server_filter(node: FilterNode) -> Result<Arc<Filter>, InvalidReason> {
    Filter::new(node).map(Arc::new).map_err(InvalidReason::TagsFilter)
}

/// Bytes win over JSON.
fn info_of(json: Option<Bytes>, base64: Option<String>) -> Result<Option<Bytes>, InvalidReason> {
    match base64 {
        Some(text) if !text.is_empty() => STANDARD
            .decode(text)
            .map(|bytes| Some(bytes.into()))
            .map_err(|_| InvalidReason::Base64),
        _ => Ok(json),
    }
}

fn audience(json: &RawValue) -> Result<Vec<String>, WrongType> {
    if json.get().starts_with('[') {
        return Ok(value(json)?.unwrap_or_default());
    }
    Ok(value::<String>(json)?.into_iter().collect())
}

fn subs(json: &RawValue) -> Result<Vec<(String, RawOptions)>, WrongType> {
    if json.get() == "null" {
        return Ok(Vec::new());
    }
    Object::nested(json)?
        .into_members()
        .map(|(channel, json)| Ok((channel, sub_options(json)?)))
        .collect()
}

fn sub_options(json: &RawValue) -> Result<RawOptions, WrongType> {
    let mut options = RawOptions::default();
    if json.get() == "null" {
        return Ok(options);
    }
    for (name, json) in Object::nested(json)?.into_folded() {
        match name.as_str() {
            "info" => options.info = raw(json),
            "b64info" => options.b64info = value(json)?,
            "data" => options.data = raw(json),
            "b64data" => options.b64data = value(json)?,
            "override" => options.overrides = overrides(json)?,
            "server_tags_filter" => options.tags_filter = value(json)?,
            _ => {}
        }
    }
    Ok(options)
}

/// Reads `caps`. Types are as strict as those of every claim; what they say may be for another version and then
/// grants nothing (channels-and-auth.md 7.1).
fn capabilities(json: &RawValue) -> Result<Option<Box<Capabilities>>, WrongType> {
    let list: Vec<&RawValue> = serde_json::from_str(json.get())
        .map(Option::unwrap_or_default)
        .map_err(|_| WrongType)?;
    let list = list.into_iter().map(capability).collect::<Result<Vec<_>, _>>()?;
    Ok(Capabilities::new(list.into_iter().flatten()).map(Box::new))
}

fn capability(json: &RawValue) -> Result<Option<Capability>, WrongType> {
    let (mut channels, mut kind, mut allow) = (Vec::new(), String::new(), Operations::default());
    for (name, json) in Object::nested(json)?.into_folded() {
        match name.as_str() {
            "channels" => channels = value(json)?.unwrap_or_default(),
            "match" => kind = value(json)?.unwrap_or_default(),
            "allow" => allow = operations(json)?,
            _ => {}
        }
    }
    Ok(Capability::new(channels, &kind, allow))
}

fn operations(json: &RawValue) -> Result<Operations, WrongType> {
    let names: Vec<String> = value(json)?.unwrap_or_default();
    Ok(Operations::from_names(names.iter().map(String::as_str)))
}

fn overrides(json: &RawValue) -> Result<Overrides, WrongType> {
    let mut overrides = Overrides::default();
    if json.get() == "null" {
        return Ok(overrides);
    }
    for (name, json) in Object::nested(json)?.into_folded() {
        let field = match name.as_str() {
            "presence" => &mut overrides.presence,
            "join_leave" => &mut overrides.join_leave,
            "force_push_join_leave" => &mut overrides.force_push_join_leave,
            "force_positioning" => &mut overrides.force_positioning,
            "force_recovery" => &mut overrides.force_recovery,
            _ => continue,
        };
        *field = bool_value(json)?;
    }
    Ok(overrides)
}

/// Reads `{"value": bool}`: the object makes it an override, a missing value is false.
fn bool_value(json: &RawValue) -> Result<Option<bool>, WrongType> {
    if json.get() == "null" {
        return Ok(None);
    }
    let mut flag = false;
    for (name, json) in Object::nested(json)?.into_folded() {
        if name == "value" {
            flag = value(json)?.unwrap_or(false);
        }
    }
    Ok(Some(flag))
}
