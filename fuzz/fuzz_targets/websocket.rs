//! WebSocket frames, with and without permessage-deflate: how the bytes are cut into reads changes nothing, and
//! no message is larger than the limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::{choice, pieces};
use tidegate_transports::websocket::{Decoder, Event, Step, Violation};

const LIMIT: usize = 1024;
const INFLATED_LIMIT: usize = 8192;

#[derive(Debug, PartialEq)]
enum Seen {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Violation(Violation),
}

fuzz_target!(|data: &[u8]| {
    let Some((seed, data)) = choice(data) else { return };
    let compression = seed & 1 == 0;
    let whole = read(std::iter::once(data), compression);
    let cut = read(pieces(data, seed), compression);
    assert_eq!(whole, cut);
    for seen in whole {
        if let Seen::Message(message) = seen {
            assert!(message.len() <= if compression { INFLATED_LIMIT } else { LIMIT });
        }
    }
});

fn read<'a>(reads: impl Iterator<Item = &'a [u8]>, compression: bool) -> Vec<Seen> {
    let mut decoder = Decoder::new(LIMIT, INFLATED_LIMIT, compression);
    let mut buffer = Vec::new();
    let mut seen = Vec::new();
    for read in reads {
        buffer.extend_from_slice(read);
        loop {
            let (taken, event) = match decoder.decode(&mut buffer) {
                Ok(Step::Incomplete) => break,
                Ok(Step::Frame(taken, event)) => (taken, event.map(owned)),
                Err(violation) => {
                    seen.push(Seen::Violation(violation));
                    return seen;
                }
            };
            assert!(taken > 0, "no progress");
            buffer.drain(..taken);
            seen.extend(event);
        }
    }
    seen
}

fn owned(event: Event<'_>) -> Seen {
    match event {
        Event::Message(message) => Seen::Message(message.to_vec()),
        Event::Assembled(message) => Seen::Message(message),
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong => Seen::Pong,
        Event::Close(code) => Seen::Close(code),
    }
}
