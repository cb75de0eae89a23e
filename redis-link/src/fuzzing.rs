//! What a fuzzer needs to see: how answers are read.

use bytes::BytesMut;
use redis::{ServerError, Value, ValueCodec};
use tokio_util::codec::Decoder;

use crate::cluster::elsewhere;
use crate::nodes;
use crate::options::Endpoint;
use crate::slot::SLOTS;
use crate::slots::Range;
use crate::subscriptions::is_message;
use crate::values::{bytes, integer, items, text};

/// The values in what was read, until something is none, and whether that happened.
pub fn values<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<Value>, bool) {
    let (mut codec, mut buffer, mut values) = (ValueCodec::default(), BytesMut::new(), Vec::new());
    for read in reads {
        buffer.extend_from_slice(read);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(_) => return (values, true),
            }
        }
    }
    (values, false)
}

/// Reads a value as each of the things that it could be.
pub fn read(value: &Value) {
    let asked = Endpoint::Tcp {
        host: "asked".to_owned(),
        port: 1,
    };
    if let Value::ServerError(error) = value {
        follow(error, &asked);
    }
    let _ = (bytes(value.clone()), integer(value.clone()), items(value.clone()));
    is_message(value.clone());
    if let Ok(text) = text(value.clone()) {
        nodes::is_well(&text);
        nodes::epoch(&text);
    }
    if let Ok(ranges) = Range::read_all(value.clone(), &asked) {
        for range in ranges {
            assert!(range.nodes().count() > 0);
            range.holds(SLOTS);
        }
    }
}

fn follow(error: &ServerError, from: &Endpoint) {
    if let Some((_, endpoint)) = elsewhere(error, Some(from)) {
        assert!(matches!(endpoint, Endpoint::Tcp { .. }));
    }
}
