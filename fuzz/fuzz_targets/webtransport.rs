//! Capsules of a WebTransport session and the commands on its stream: how the bytes are cut into reads changes
//! nothing, and no command is larger than the limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::{choice, pieces};
use tidegate_transports::webtransport::capsule::{CapsuleDecoder, CapsuleError, SessionClose, encode_close};
use tidegate_transports::webtransport::commands::Commands;
use tidegate_transports::{Encoding, InputFault};

const LIMIT: usize = 64;
/// Bytes of the longest length prefix.
const PREFIX: usize = 5;

fuzz_target!(|data: &[u8]| {
    let Some((seed, data)) = choice(data) else { return };
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let whole = commands(std::iter::once(data), encoding);
        assert_eq!(whole, commands(pieces(data, seed), encoding));
        for command in whole.0 {
            assert!(!command.is_empty() && command.len() <= LIMIT + PREFIX);
        }
    }
    let whole = close(std::iter::once(data));
    assert_eq!(whole, close(pieces(data, seed)));
    if let Ok(Some(SessionClose { code, reason })) = &whole {
        let written = encode_close(*code, reason);
        let again = close(std::iter::once(&written[..]))
            .expect("our own")
            .expect("a close");
        assert_eq!(again.code, *code);
        assert!(reason.starts_with(&again.reason));
    }
});

fn commands<'a>(
    reads: impl Iterator<Item = &'a [u8]>,
    encoding: Encoding,
) -> (Vec<Vec<u8>>, Option<InputFault>) {
    let mut splitter = Commands::new(encoding, LIMIT);
    let mut commands = Vec::new();
    for read in reads {
        splitter.push(read);
        loop {
            match splitter.take() {
                Ok(Some(command)) => commands.push(command.to_vec()),
                Ok(None) => break,
                Err(fault) => return (commands, Some(fault)),
            }
        }
    }
    (commands, None)
}

fn close<'a>(reads: impl Iterator<Item = &'a [u8]>) -> Result<Option<SessionClose>, CapsuleError> {
    let mut decoder = CapsuleDecoder::default();
    for read in reads {
        if let Some(close) = decoder.decode(read)? {
            return Ok(Some(close));
        }
    }
    Ok(None)
}
