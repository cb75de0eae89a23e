//! The part of the client protocol that these tests speak, once for both of its encodings (protocol.md 2).

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Command {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Connect>,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<Subscribe>,
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<Unsubscribe>,
    #[prost(message, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Connect {
    #[prost(string, tag = "1")]
    pub token: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Subscribe {
    #[prost(string, tag = "1")]
    pub channel: String,
    #[prost(bool, tag = "3")]
    pub recover: bool,
    #[prost(string, tag = "6")]
    pub epoch: String,
    #[prost(uint64, tag = "7")]
    pub offset: u64,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Unsubscribe {
    #[prost(string, tag = "1")]
    pub channel: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Publish {
    #[prost(string, tag = "1")]
    pub channel: String,
    /// A JSON value as text.
    #[prost(string, tag = "2")]
    #[serde(serialize_with = "as_raw")]
    pub data: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Reply {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(message, optional, tag = "2")]
    pub error: Option<Failure>,
    #[prost(message, optional, tag = "4")]
    pub push: Option<Push>,
    #[prost(message, optional, tag = "6")]
    pub subscribe: Option<Subscribed>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Failure {
    #[prost(uint32, tag = "1")]
    pub code: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Push {
    #[prost(string, tag = "2")]
    pub channel: String,
    #[prost(message, optional, tag = "4")]
    #[serde(rename = "pub")]
    pub publication: Option<Publication>,
    #[prost(message, optional, tag = "7")]
    pub unsubscribe: Option<Unsubscribed>,
    #[prost(message, optional, tag = "11")]
    pub disconnect: Option<Disconnected>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Unsubscribed {
    #[prost(uint32, tag = "2")]
    pub code: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Disconnected {
    #[prost(uint32, tag = "1")]
    pub code: u32,
    #[prost(string, tag = "2")]
    pub reason: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Publication {
    /// A JSON value as text.
    #[prost(string, tag = "4")]
    #[serde(deserialize_with = "from_raw")]
    pub data: String,
    #[prost(uint64, tag = "6")]
    pub offset: u64,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Subscribed {
    #[prost(string, tag = "6")]
    pub epoch: String,
    #[prost(message, repeated, tag = "7")]
    pub publications: Vec<Publication>,
    #[prost(bool, tag = "8")]
    pub recovered: bool,
    #[prost(uint64, tag = "9")]
    pub offset: u64,
    #[prost(bool, tag = "12")]
    pub was_recovering: bool,
}

impl Command {
    pub fn connect(id: u32, token: String) -> Self {
        let connect = Some(Connect { token });
        Self {
            id,
            connect,
            ..Self::default()
        }
    }

    pub fn subscribe(id: u32, channel: &str) -> Self {
        let request = Subscribe {
            channel: channel.into(),
            ..Subscribe::default()
        };
        Self {
            id,
            subscribe: Some(request),
            ..Self::default()
        }
    }

    /// Continues after an offset; epoch and offset as the server told them.
    pub fn recover(id: u32, channel: &str, epoch: &str, offset: u64) -> Self {
        let request = Subscribe {
            channel: channel.into(),
            recover: true,
            epoch: epoch.into(),
            offset,
        };
        Self {
            id,
            subscribe: Some(request),
            ..Self::default()
        }
    }

    pub fn unsubscribe(id: u32, channel: &str) -> Self {
        let request = Unsubscribe {
            channel: channel.into(),
        };
        Self {
            id,
            unsubscribe: Some(request),
            ..Self::default()
        }
    }

    pub fn publish(id: u32, channel: &str, item: Item) -> Self {
        let request = Publish {
            channel: channel.into(),
            data: item.to_data(PADDING).to_string(),
        };
        Self {
            id,
            publish: Some(request),
            ..Self::default()
        }
    }
}

/// What every publication of these tests tells: who published it, and the how many-eth of his it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    pub source: u32,
    pub number: u32,
}

/// Bytes that make a publication of ordinary size.
pub const PADDING: usize = 100;

impl Item {
    /// The last word on a channel.
    pub const END: Self = Self {
        source: u32::MAX,
        number: 0,
    };

    pub fn new(source: u32, number: u32) -> Self {
        Self { source, number }
    }

    /// Data with that many bytes that say nothing.
    pub fn to_data(self, padding: usize) -> serde_json::Value {
        serde_json::json!([self.source, self.number, "x".repeat(padding)])
    }
}

impl Publication {
    pub fn item(&self) -> Item {
        let mut numbers = self.data.trim_start_matches('[').split(',').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(source)), Some(Ok(number))) => Item { source, number },
            _ => panic!("foreign data: {}", self.data),
        }
    }
}

fn as_raw<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = RawValue::from_string(text.to_owned()).map_err(serde::ser::Error::custom)?;
    raw.serialize(serializer)
}

fn from_raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(raw.get().to_owned())
}
