//! Messages of any process on the channels of Redis: read or refused, and what is read is written the same way.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::engine::redis::payload::{self, Message};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    match payload::parse(&bytes) {
        Ok(Message::Publication(arrived)) => {
            assert_eq!(arrived.epoch.is_some(), arrived.publication.offset > 0);
            let written = payload::encode_publication((*arrived.publication).clone());
            let again = payload::stream_entry(arrived.publication.offset, written);
            assert_eq!(again.as_ref(), Ok(&arrived.publication));
        }
        Ok(Message::Join(info)) => {
            assert_eq!(payload::parse(&payload::encode_join(&info)), Ok(Message::Join(info)));
        }
        Ok(Message::Leave(info)) => {
            assert_eq!(payload::parse(&payload::encode_leave(&info)), Ok(Message::Leave(info)));
        }
        Err(_) => {}
    }
    let _ = payload::list_entry(&bytes);
    let _ = payload::entry_offset(&bytes);
    let _ = payload::client_info(bytes);
});
