//! Messages of any process on the subjects of NATS: read or refused, and what is read is written the same way. The
//! first lines are taken for headers of JetStream.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::engine::nats::payload::{self, Message};
use tidegate::engine::nats::record::Record;

fuzz_target!(|data: &[u8]| {
    match payload::parse(Bytes::copy_from_slice(data)) {
        Ok(Message::Publication(arrived)) => {
            let written = payload::encode_publication("c", arrived.publication.clone(), arrived.delta);
            assert_eq!(payload::parse(written), Ok(Message::Publication(arrived)));
        }
        Ok(Message::Join(channel, info)) => {
            let written = payload::encode_join(&channel, &info);
            assert_eq!(payload::parse(written), Ok(Message::Join(channel, info)));
        }
        Ok(Message::Leave(channel, info)) => {
            let written = payload::encode_leave(&channel, &info);
            assert_eq!(payload::parse(written), Ok(Message::Leave(channel, info)));
        }
        Ok(Message::Other) | Err(_) => {}
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let names = ["Tidegate-Position", "Tidegate-Kept", "Tidegate-Version", "Tidegate-Before"];
    let header = |wanted: &'static str| names.iter().zip(text.lines()).find(|(name, _)| **name == wanted);
    if let Some(record) = Record::read(|name| header(name).map(|(_, line)| line)) {
        assert_eq!(Record::of(&record.to_headers()), Some(record));
    }
});
