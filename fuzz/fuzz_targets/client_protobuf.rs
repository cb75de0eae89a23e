//! Commands of clients in Protobuf: what can be read can be written and read again.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tidegate::protocol::Commands;
use tidegate_transports::Encoding;

fuzz_target!(|data: &[u8]| {
    let mut read = Vec::new();
    for command in Commands::new(Encoding::Protobuf, Bytes::copy_from_slice(data)) {
        match command {
            Ok(command) => read.push(command),
            Err(_) => break,
        }
    }
    let mut written = Vec::new();
    for command in &read {
        command
            .encode_length_delimited(&mut written)
            .expect("a vector grows");
    }
    if !written.is_empty() {
        let again: Result<Vec<_>, _> = Commands::new(Encoding::Protobuf, written.into()).collect();
        // Compared as text, because a NaN differs from itself.
        assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>(read)));
    }
});
