//! Requests that stand for the other direction of a stream: what is read is what was sent, and data that is no
//! string holds no commands.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tidegate::protocol::{Commands, decode_emulation, emulated_commands};
use tidegate_fuzz::choice;
use tidegate_transports::Encoding;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = choice(data) else { return };
    let body = Bytes::copy_from_slice(data);
    match mode % 3 {
        0 => {
            let Some(request) = decode_emulation(Encoding::Protobuf, body) else {
                return;
            };
            let again = decode_emulation(Encoding::Protobuf, request.encode_to_vec().into());
            assert_eq!(again.as_ref(), Some(&request));
            read(Encoding::Protobuf, request.data);
        }
        1 => {
            let Some(request) = decode_emulation(Encoding::Json, body.clone()) else {
                return;
            };
            // What is ignored may be no text, and then there is nothing to compare with.
            let value = serde_json::from_slice::<serde_json::Value>(&body);
            let commands = emulated_commands(Encoding::Json, request.data);
            if value.is_ok_and(|value| !value["data"].is_string()) {
                assert!(commands.is_empty());
            }
            read(Encoding::Json, commands);
        }
        // Any text survives being put into a string.
        _ => {
            let text = String::from_utf8_lossy(data);
            let body = serde_json::json!({ "session": text, "node": "n", "data": text }).to_string();
            let request = decode_emulation(Encoding::Json, body.into()).expect("a request");
            let commands = emulated_commands(Encoding::Json, request.data);
            assert_eq!(
                (request.session.as_str(), &commands[..]),
                (&*text, text.as_bytes())
            );
            read(Encoding::Json, commands);
        }
    }
});

/// The session would.
fn read(encoding: Encoding, data: Bytes) {
    Commands::new(encoding, data).for_each(drop);
}
