//! What the server is told to do: options, where they come from, and whether they make sense (configuration.md).
//!
//! Reading happens in two steps. Every source becomes a layer of raw values in which an option that was not set
//! is absent; the layers are merged, defaults lowest. Only then is the merged tree resolved to [`Config`], whose
//! fields cannot hold an invalid value: numbers are in range, names are enumerations, what may be switched off
//! is an `Option`. So nobody who is given a [`Config`] has to check or to decide about defaults.
//!
//! An option is defined once, in `tree`: its field, type, default and documentation. Layers, reference, sample
//! file and command line are made from that definition.
//!
//! Options of Centrifugo v6 that this version does not have are known too, and named when they are set
//! ([`Warning::Unsupported`]). Ours beyond it are listed in the reference under "Beyond v6".

mod coerce;
mod definition;
pub(crate) mod document;
mod duration;
mod error;
mod layers;
mod load;
mod pattern;
pub(crate) mod sample;
mod support;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod validate;
mod value;

use std::time::Duration;

use definition::Object;
pub(crate) use definition::{Field, Kind, Status};
pub use error::{LoadError, Problem, Warning};
pub(crate) use layers::Format;
pub use layers::Sources;
pub use load::{Loaded, load};
pub(crate) use pattern::ChannelPattern;
pub use tree::*;

/// Reads a duration in the spelling of Go, if it is one and not negative.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    u64::try_from(duration::parse(text).ok()?)
        .ok()
        .map(Duration::from_nanos)
}
pub use types::{
    DeltaType, ErrorMode, LogLevel, Named, PublicationDataFormat, RecoveryMode, RevocationStorage,
    SubscriptionType, Switched, TlsVersion,
};
pub use value::Source;

/// The definition of an option, by its dotted key.
pub(crate) fn option(key: &str) -> Option<&'static Field> {
    Config::SECTION.find(key).map(|(_, field)| field)
}

/// The canonical spelling of a duration, `1h0m0s`.
pub(crate) fn format_duration(of: Duration) -> String {
    duration::format(i64::try_from(of.as_nanos()).unwrap_or(i64::MAX))
}
