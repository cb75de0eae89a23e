//! permessage-deflate: every input is one compressed message, so that the inflating is reached at once. What is
//! inflated step by step is what one step makes of it, and never more than the limit.

#![no_main]

use flate2::{Decompress, FlushDecompress};
use libfuzzer_sys::fuzz_target;
use tidegate_transports::websocket::{Decoder, Event, Step, Violation};

const LIMIT: usize = 4096;
const INFLATED_LIMIT: usize = 16_384;

fuzz_target!(|data: &[u8]| {
    let Ok(length) = u16::try_from(data.len().min(LIMIT)) else {
        return;
    };
    let data = &data[..usize::from(length)];
    // A masked text frame with the bit of compression, the mask all zeros.
    let mut frame = vec![0xc1, 0xfe];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(data);
    let mut decoder = Decoder::new(LIMIT, INFLATED_LIMIT, true);
    let seen = match decoder.decode(&mut frame) {
        Ok(Step::Frame(_, Some(Event::Message(message)))) => Ok(message.to_vec()),
        Ok(Step::Frame(_, Some(Event::Assembled(message)))) => Ok(message),
        // Lengths below 126 must not be written in two bytes; a decoder may refuse that.
        Err(violation) => Err(violation),
        _ => panic!("a whole message is no whole message"),
    };
    if let Ok(message) = &seen {
        assert!(message.len() <= INFLATED_LIMIT);
        assert_eq!(message, &reference(data), "inflated to something else");
    } else if let Err(Violation { code, .. }) = seen {
        assert!(matches!(code, 1002 | 1007 | 1009), "{code}");
    }
});

/// The same in one step.
fn reference(data: &[u8]) -> Vec<u8> {
    let input = [data, &[0, 0, 0xff, 0xff]].concat();
    let mut out = Vec::with_capacity(INFLATED_LIMIT + 1);
    Decompress::new(false)
        .decompress_vec(&input, &mut out, FlushDecompress::Sync)
        .expect("what was inflated can be");
    out
}
