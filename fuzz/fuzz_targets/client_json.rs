//! Commands of clients in JSON: no frame makes the decoder panic, stand still or yield after an error.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::protocol::Commands;
use tidegate_transports::Encoding;

fuzz_target!(|data: &[u8]| {
    let mut commands = Commands::new(Encoding::Json, Bytes::copy_from_slice(data));
    let mut before = data.len() + 1;
    while let Some(command) = commands.next() {
        assert!(commands.remaining() < before, "no progress");
        before = commands.remaining();
        if command.is_err() {
            assert!(commands.next().is_none(), "a command after an error");
            break;
        }
    }
});
