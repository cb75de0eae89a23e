//! QPACK field sections and the heads made of them: nothing beyond the limit comes through, and what was read
//! can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_transports::http3::{frame, head, qpack};

const LIMIT: u64 = 2048;

fuzz_target!(|data: &[u8]| {
    let mut size = 0;
    let _ = qpack::decode(data, LIMIT, |name, value| size += name.len() + value.len() + 32);
    assert!(size as u64 <= LIMIT);

    let _ = head::decode_request(data, LIMIT);
    if let Ok(trailers) = head::decode_trailers(data, LIMIT) {
        let written = head::encode_trailers(&trailers);
        let (kind, length, header) = frame::decode_header(&written).expect("a frame");
        assert_eq!((kind, length), (frame::HEADERS, (written.len() - header) as u64));
        assert_eq!(
            head::decode_trailers(&written[header..], LIMIT).as_ref(),
            Ok(&trailers)
        );
    }

    let mut text = Vec::new();
    let _ = qpack::huffman::decode(data, &mut text);
});
