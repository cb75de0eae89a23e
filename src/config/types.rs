//! The types that options have, and how each is made from a value.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::definition::{Described, Field, Kind, Object, Resolve, Section, Status};
use super::error::Problem;
use super::value::{Node, Value};

/// An object of a list, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<T> {
    /// Unique in its list.
    pub name: String,
    /// What is said of it.
    pub options: T,
}

/// Options that count only while they are switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switched<T> {
    /// Whether they count.
    pub enabled: bool,
    /// The options themselves.
    pub options: T,
}

impl<T: Object> Object for Switched<T> {
    const SECTION: &'static Section = &Section {
        name: T::SECTION.name,
        doc: T::SECTION.doc,
        fields: &[Field {
            name: "enabled",
            kind: Kind::Bool,
            default: "",
            doc: "Whether the options beside it count.",
            status: Status::Supported,
        }],
        rest: Some(T::SECTION),
    };
}

impl<T: Object> Described for Switched<T> {
    const KIND: Kind = Kind::Object(Self::SECTION);
}

impl<T: Resolve> Resolve for Switched<T> {
    fn resolve(node: Option<&Node>, problems: &mut Vec<Problem>) -> Self {
        let enabled = bool::resolve(node.and_then(|node| node.get("enabled")), problems);
        Self {
            enabled,
            options: T::resolve(node, problems),
        }
    }
}

impl<T: Object> Described for Vec<Named<T>> {
    const KIND: Kind = Kind::Named(&Section {
        name: T::SECTION.name,
        doc: T::SECTION.doc,
        fields: &[Field {
            name: "name",
            kind: Kind::Text,
            default: "",
            doc: "Name, unique in the list.",
            status: Status::Supported,
        }],
        rest: Some(T::SECTION),
    });
}

impl<T: Resolve> Resolve for Vec<Named<T>> {
    fn resolve(node: Option<&Node>, problems: &mut Vec<Problem>) -> Self {
        let items = node.map(Node::items).unwrap_or_default();
        let item = |item: &Node| Named {
            name: item.text("name").to_owned(),
            options: T::resolve(Some(item), problems),
        };
        items.iter().map(item).collect()
    }
}

impl<T: Object> Described for Vec<T> {
    const KIND: Kind = Kind::Objects(T::SECTION);
}

impl<T: Object + Resolve> Resolve for Vec<T> {
    fn resolve(node: Option<&Node>, problems: &mut Vec<Problem>) -> Self {
        let items = node.map(Node::items).unwrap_or_default();
        items
            .iter()
            .map(|item| T::resolve(Some(item), problems))
            .collect()
    }
}

/// Implements the traits for a type that is made from one value.
macro_rules! leaf {
    ($ty:ty, $kind:expr, $read:expr) => {
        impl Described for $ty {
            const KIND: Kind = $kind;
        }

        impl Resolve for $ty {
            fn resolve(node: Option<&Node>, problems: &mut Vec<Problem>) -> Self {
                let Some(Node::Leaf(leaf)) = node else {
                    return Self::default();
                };
                let read: fn(&Value) -> Result<Self, String> = $read;
                read(&leaf.value).unwrap_or_else(|message| {
                    problems.push(Problem::at(message, leaf));
                    Self::default()
                })
            }
        }
    };
}

leaf!(bool, Kind::Bool, |value| match value {
    Value::Bool(value) => Ok(*value),
    other => Err(mismatch(other, "true or false")),
});

leaf!(i64, Kind::Int, integer);

leaf!(u16, Kind::Int, |value| {
    let number = integer(value)?;
    number
        .try_into()
        .map_err(|_| format!("{number} is not between 0 and {}", Self::MAX))
});

leaf!(usize, Kind::Int, |value| {
    let number = integer(value)?;
    number
        .try_into()
        .map_err(|_| format!("{number} is negative, allowed are 0 and more"))
});

// A limit; zero and less switch it off.
leaf!(Option<usize>, Kind::Int, |value| {
    let number = integer(value)?;
    Ok(usize::try_from(number).ok().filter(|number| *number > 0))
});

leaf!(String, Kind::Text, |value| match value {
    Value::Text(text) => Ok(text.clone()),
    other => Err(mismatch(other, "text")),
});

leaf!(Duration, Kind::Duration, |value| {
    let nanos = nanoseconds(value)?;
    let negative = |_| format!("duration {value} is negative, allowed are 0s and more");
    nanos.try_into().map(Self::from_nanos).map_err(negative)
});

// An interval or delay; zero and less switch it off.
leaf!(Option<Duration>, Kind::Duration, |value| {
    let nanos = u64::try_from(nanoseconds(value)?).ok();
    Ok(nanos.filter(|nanos| *nanos > 0).map(Duration::from_nanos))
});

/// Nanoseconds of either sign, for options without a field.
pub(crate) struct GoDuration;

impl Described for GoDuration {
    const KIND: Kind = Kind::Duration;
}

leaf!(Vec<String>, Kind::TextList, |value| match value {
    Value::List(list) => Ok(list.clone()),
    other => Err(mismatch(other, "a list of texts")),
});

leaf!(BTreeMap<String, String>, Kind::TextMap, |value| match value {
    Value::Map(map) => Ok(map.clone()),
    other => Err(mismatch(other, "texts by key")),
});

fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(mismatch(other, "a whole number")),
    }
}

fn nanoseconds(value: &Value) -> Result<i64, String> {
    match value {
        Value::Duration(nanos) => Ok(*nanos),
        other => Err(mismatch(other, "a duration")),
    }
}

fn mismatch(value: &Value, expected: &str) -> String {
    format!("{value} is not {expected}")
}

/// Defines an enumeration spelled as text. The first spelling of a variant is the canonical one.
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident, $unknown:literal {
            $( $(#[$variant_attribute:meta])* $variant:ident = $($spelling:literal)|+, )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[$variant_attribute])* $variant, )+ }

        impl $name {
            const SPELLINGS: &'static [&'static str] = &[$($($spelling),+),+];
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $( $($spelling)|+ => Ok(Self::$variant), )+
                    other => Err(format!(
                        concat!($unknown, ", possible choices are: {}"),
                        other,
                        possible(Self::SPELLINGS),
                    )),
                }
            }
        }
    };
}

fn possible(choices: &[&'static str]) -> String {
    choices
        .iter()
        .copied()
        .filter(|choice| !choice.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

choice! {
    /// What a recovering subscriber is given.
    pub enum RecoveryMode, "unknown recovery mode: {:?}" {
        /// All publications it missed.
        #[default]
        Stream = "" | "stream",
        /// The latest publication.
        Cache = "cache",
    }
}

choice! {
    /// What publications may contain.
    pub enum PublicationDataFormat, "unknown publication_data_format: {:?}" {
        /// What the global option says, and where that says nothing either, anything but nothing.
        #[default]
        Inherit = "",
        /// One JSON value.
        Json = "json",
        /// One JSON object.
        JsonObject = "json_object",
        /// Anything, nothing included.
        Binary = "binary",
    }
}

choice! {
    /// What subscriptions to a channel are. Other kinds than streams are not supported by this version.
    pub enum SubscriptionType, "unknown subscription_type: {:?}" {
        /// A stream of publications.
        #[default]
        Stream = "" | "stream",
        /// Keyed state.
        Map = "map",
        /// Keyed state, a key per client.
        MapClients = "map_clients",
        /// Keyed state, a key per user.
        MapUsers = "map_users",
        /// State polled from the backend.
        SharedPoll = "shared_poll",
    }
}

choice! {
    /// Where the server remembers what it was told to refuse.
    pub enum RevocationStorage, "unknown storage_type: {:?}" {
        /// In the memory of this node.
        #[default]
        Memory = "",
        /// In Redis. Not supported by this version.
        Redis = "redis",
        /// In PostgreSQL. Not supported by this version.
        Database = "database",
    }
}

choice! {
    /// How the HTTP API reports errors.
    pub enum ErrorMode, "invalid value: {}" {
        /// In the reply, with status 200.
        #[default]
        Reply = "",
        /// As the status of the response.
        Transport = "transport",
    }
}

choice! {
    /// The oldest TLS version that is spoken.
    pub enum TlsVersion, "unknown TLS version: {:?}" {
        /// TLS 1.2.
        #[default]
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

choice! {
    /// How much is logged.
    pub enum LogLevel, "unknown log level: {:?}" {
        /// Nothing.
        None = "none",
        /// Everything, frames of clients included.
        Trace = "trace",
        /// What developers want to know.
        Debug = "debug",
        /// What operators want to know.
        #[default]
        Info = "info",
        /// What may be wrong.
        Warn = "warn",
        /// What is wrong.
        Error = "error",
        /// What ends the process.
        Fatal = "fatal",
    }
}

/// What subscribers may ask to be sent instead of whole publications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeltaType {
    /// The difference from the publication before, in the format of Fossil.
    Fossil,
}

leaf!(Vec<DeltaType>, Kind::TextList, |value| {
    let Value::List(names) = value else {
        return Err(mismatch(value, "a list of texts"));
    };
    let names = names.iter().map(|name| match name.as_str() {
        "fossil" => Ok(DeltaType::Fossil),
        _ => Err(format!("unknown allowed delta type: {name:?}")),
    });
    names.collect()
});

leaf!(RecoveryMode, Kind::Choice(Self::SPELLINGS), parsed);
leaf!(PublicationDataFormat, Kind::Choice(Self::SPELLINGS), parsed);
leaf!(SubscriptionType, Kind::Choice(Self::SPELLINGS), parsed);
leaf!(RevocationStorage, Kind::Choice(Self::SPELLINGS), parsed);
leaf!(ErrorMode, Kind::Choice(Self::SPELLINGS), parsed);
leaf!(TlsVersion, Kind::Choice(Self::SPELLINGS), parsed);

// In any case of letters. What does not exist is worth a warning only, see `load`.
leaf!(LogLevel, Kind::Choice(Self::SPELLINGS), |value| {
    Ok(value.to_string().to_lowercase().parse().unwrap_or_default())
});

fn parsed<T: FromStr<Err = String>>(value: &Value) -> Result<T, String> {
    value.to_string().parse()
}
