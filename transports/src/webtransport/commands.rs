//! Splits a session's incoming bytes into commands.
//!
//! JSON commands end with a line feed; what the client did not end, it did not say. Protobuf commands follow
//! their length (protocol.md 1.2, 1.3, 5.5). Only the unfinished rest is kept, at most one command and one
//! chunk, and an idle session keeps nothing.

use crate::{Encoding, InputFault};

/// Splits the bytes of one session.
#[derive(Debug)]
pub struct Commands {
    encoding: Encoding,
    limit: usize,
    buffer: Vec<u8>,
    /// Where the first command that was not given out begins.
    start: usize,
    /// How far behind `start` a line feed was looked for, in vain.
    scanned: usize,
}

impl Commands {
    /// A splitter for commands of at most `limit` bytes.
    #[must_use]
    pub fn new(encoding: Encoding, limit: usize) -> Self {
        Self {
            encoding,
            limit,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
        }
    }

    /// Appends bytes of the stream. Call it when [`take`](Self::take) had none, so that the buffer stays small.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next command as [`Session::receive`](crate::Session::receive) takes it: a JSON line without its line
    /// feed, or a Protobuf message with its length. `None` if none is complete.
    ///
    /// # Errors
    /// [`InputFault::TooLarge`] above the limit, as soon as that is certain; [`InputFault::Malformed`] for an
    /// empty line or a broken length. A Protobuf command of no bytes is a pong. The stream cannot be split further then.
    pub fn take(&mut self) -> Result<Option<&[u8]>, InputFault> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let found = match self.encoding {
            Encoding::Json => line(rest, self.scanned, self.limit)?,
            Encoding::Protobuf => delimited(rest, self.limit)?,
        };
        let Some(Found { command, taken }) = found else {
            self.scanned = rest.len();
            if rest.is_empty() {
                self.buffer = Vec::new();
                self.start = 0;
            }
            return Ok(None);
        };
        let start = self.start;
        self.start += taken;
        self.scanned = 0;
        Ok(self.buffer.get(start..start + command))
    }
}

/// A complete command at the front: its own bytes, and with what ends it.
struct Found {
    command: usize,
    taken: usize,
}

fn line(rest: &[u8], scanned: usize, limit: usize) -> Result<Option<Found>, InputFault> {
    let unseen = rest.get(scanned..).unwrap_or_default();
    let end = unseen
        .iter()
        .position(|byte| *byte == b'\n')
        .map(|at| scanned + at);
    match end {
        Some(0) => Err(InputFault::Malformed),
        Some(end) if end <= limit => Ok(Some(Found {
            command: end,
            taken: end + 1,
        })),
        None if rest.len() <= limit => Ok(None),
        _ => Err(InputFault::TooLarge),
    }
}

fn delimited(rest: &[u8], limit: usize) -> Result<Option<Found>, InputFault> {
    let mut len = 0u64;
    for (index, byte) in rest.iter().take(MAX_LENGTH_BYTES).enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 != 0 {
            continue;
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > limit {
            return Err(InputFault::TooLarge);
        }
        let taken = index + 1 + len;
        let is_whole = rest.len() >= taken;
        return Ok(is_whole.then_some(Found {
            command: taken,
            taken,
        }));
    }
    if rest.len() < MAX_LENGTH_BYTES {
        Ok(None)
    } else {
        Err(InputFault::Malformed)
    }
}

/// Five bytes carry 35 bits: more than any limit needs.
const MAX_LENGTH_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn split(commands: &mut Commands, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, InputFault> {
        let mut all = Vec::new();
        for chunk in chunks {
            commands.push(chunk);
            while let Some(command) = commands.take()? {
                all.push(command.to_vec());
            }
        }
        Ok(all)
    }

    #[test]
    fn a_command_without_its_end_is_not_given() {
        let mut commands = Commands::new(Encoding::Json, 10);
        assert_eq!(split(&mut commands, &[b"{}\n{\"id\""]).unwrap(), [b"{}"]);
        assert_eq!(split(&mut commands, &[b"}\n"]).unwrap(), [b"{\"id\"}"]);
        assert_eq!(commands.buffer.capacity(), 0, "an idle session keeps no buffer");
    }

    #[test]
    fn a_pong_in_protobuf_has_no_bytes() {
        let mut commands = Commands::new(Encoding::Protobuf, 10);
        assert_eq!(
            split(&mut commands, &[b"\0\x01x\0"]).unwrap(),
            [&b"\0"[..], b"\x01x", b"\0"]
        );
    }

    #[test]
    fn limits_are_exact() {
        for (encoding, fits, exceeds) in [
            (Encoding::Json, &b"1234\n"[..], &b"12345"[..]),
            (Encoding::Protobuf, b"\x041234", b"\x05"),
        ] {
            let mut commands = Commands::new(encoding, 4);
            assert_eq!(split(&mut commands, &[fits]).unwrap().len(), 1);
            assert_eq!(split(&mut commands, &[exceeds]), Err(InputFault::TooLarge));
        }
    }

    #[test]
    fn broken_framing_is_malformed() {
        for (encoding, bytes) in [
            (Encoding::Json, &b"\n"[..]),
            (Encoding::Json, b"{}\n\n"),
            (Encoding::Protobuf, b"\x80\x80\x80\x80\x80"),
        ] {
            assert_eq!(
                split(&mut Commands::new(encoding, 100), &[bytes]),
                Err(InputFault::Malformed)
            );
        }
    }

    proptest! {
        #[test]
        fn commands_survive_any_fragmentation(
            bodies in vec(vec(0x20u8..0x7f, 1..200), 0..6),
            cut in 1usize..50,
            protobuf: bool,
        ) {
            let encoding = if protobuf { Encoding::Protobuf } else { Encoding::Json };
            let mut expected = Vec::new();
            let mut wire = Vec::new();
            for body in &bodies {
                let mut command = Vec::new();
                if protobuf {
                    let len = body.len();
                    if len > 0x7f {
                        command.push(len as u8 | 0x80);
                        command.push((len >> 7) as u8);
                    } else {
                        command.push(len as u8);
                    }
                }
                command.extend_from_slice(body);
                wire.extend_from_slice(&command);
                if !protobuf {
                    wire.push(b'\n');
                }
                expected.push(command);
            }
            let chunks: Vec<&[u8]> = wire.chunks(cut).collect();
            prop_assert_eq!(split(&mut Commands::new(encoding, 200), &chunks).unwrap(), expected);
        }

        #[test]
        fn random_bytes_never_panic(chunks in vec(vec(any::<u8>(), 0..50), 0..5), protobuf: bool) {
            let encoding = if protobuf { Encoding::Protobuf } else { Encoding::Json };
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let _ = split(&mut Commands::new(encoding, 30), &chunks);
        }
    }
}
