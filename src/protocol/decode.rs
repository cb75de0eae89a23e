//! From a frame to commands (protocol.md 1.2, 1.3, 1.5).

use bytes::{Buf, Bytes};
use prost::Message;
use tidegate_transports::Encoding;

use super::message::Command;

/// A frame whose framing or command could not be read; the connection is closed with 3501.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing between two delimiters, or nothing at all.
    #[error("empty request received")]
    Empty,
    /// Not the JSON of a command.
    #[error("malformed JSON command: {0}")]
    Json(String),
    /// Not the Protobuf of a command.
    #[error("malformed Protobuf command: {0}")]
    Protobuf(String),
    /// A length prefix that reaches beyond the frame.
    #[error("command length exceeds the frame")]
    Length,
}

/// Reads the commands of one frame in order. After an error nothing more is read: commands before it have been
/// yielded.
pub struct Commands {
    encoding: Encoding,
    rest: Bytes,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Start,
    Reading,
    Done,
}

impl Commands {
    /// Starts reading a frame.
    #[must_use]
    pub fn new(encoding: Encoding, frame: Bytes) -> Self {
        Self {
            encoding,
            rest: frame,
            state: State::Start,
        }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        if self.state == State::Done {
            0
        } else {
            self.rest.len()
        }
    }

    fn next_json(&mut self) -> Option<Result<Command, DecodeError>> {
        if self.rest.is_empty() {
            // One trailing newline is allowed, an empty frame is not.
            return (self.state == State::Start).then_some(Err(DecodeError::Empty));
        }
        let line = match line_end(&self.rest) {
            Some(end) => {
                let line = self.rest.split_to(end);
                self.rest.advance(1);
                line
            }
            None => std::mem::take(&mut self.rest),
        };
        if line.is_empty() {
            return Some(Err(DecodeError::Empty));
        }
        Some(serde_json::from_slice(&line).map_err(|error| DecodeError::Json(error.to_string())))
    }

    fn next_protobuf(&mut self) -> Option<Result<Command, DecodeError>> {
        if self.rest.is_empty() {
            return (self.state == State::Start).then_some(Err(DecodeError::Empty));
        }
        let length = match prost::decode_length_delimiter(&mut self.rest) {
            Ok(length) => length,
            Err(error) => return Some(Err(DecodeError::Protobuf(error.to_string()))),
        };
        if length > self.rest.len() {
            return Some(Err(DecodeError::Length));
        }
        let command = self.rest.split_to(length);
        Some(Command::decode(command).map_err(|error| DecodeError::Protobuf(error.to_string())))
    }
}

/// Most frames are one line: to learn that, the standard library looks at many bytes at once, which it does not to
/// find a position.
fn line_end(rest: &[u8]) -> Option<usize> {
    rest.contains(&b'\n')
        .then(|| rest.iter().position(|byte| *byte == b'\n'))
        .flatten()
}

impl Iterator for Commands {
    type Item = Result<Command, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let next = match self.encoding {
            Encoding::Json => self.next_json(),
            Encoding::Protobuf => self.next_protobuf(),
        };
        self.state = if matches!(next, Some(Ok(_))) {
            State::Reading
        } else {
            State::Done
        };
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: Encoding, frame: &[u8]) -> (Vec<Command>, Option<DecodeError>) {
        let mut commands = Vec::new();
        for next in Commands::new(encoding, Bytes::copy_from_slice(frame)) {
            match next {
                Ok(command) => commands.push(command),
                Err(error) => return (commands, Some(error)),
            }
        }
        (commands, None)
    }

    #[test]
    fn json_allows_one_trailing_newline_only() {
        let (commands, error) = read(Encoding::Json, b"{\"id\":1,\"ping\":{}}\n{}\n");
        assert_eq!((commands.len(), error), (2, None));
        assert_eq!(read(Encoding::Json, b"{}\n\n").1, Some(DecodeError::Empty));
        assert_eq!(read(Encoding::Json, b"\n").1, Some(DecodeError::Empty));
        assert_eq!(read(Encoding::Json, b"").1, Some(DecodeError::Empty));
    }

    #[test]
    fn json_keeps_payloads_verbatim_and_numbers_strict() {
        let (commands, _) = read(
            Encoding::Json,
            br#"{"id":1,"publish":{"channel":"c","data":{"a": "<"},"x":1}}"#,
        );
        let publish = commands[0].publish.as_ref().expect("publish");
        assert_eq!(&publish.data[..], br#"{"a": "<"}"#);
        let (commands, _) = read(
            Encoding::Json,
            br#"{"id":1,"publish":{"channel":null,"data":null}}"#,
        );
        assert_eq!(&commands[0].publish.as_ref().expect("publish").data[..], b"null");
        for bad in [
            r#"{"id":"1"}"#,
            r#"{"id":-1}"#,
            r#"{"id":1.5}"#,
            r#"{"id":4294967296}"#,
            "[1]",
            "{",
        ] {
            assert!(
                matches!(read(Encoding::Json, bad.as_bytes()).1, Some(DecodeError::Json(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn protobuf_refuses_lengths_beyond_the_frame() {
        let connect = [4, 8, 1, 0x22, 0];
        let (commands, error) = read(Encoding::Protobuf, &connect);
        assert_eq!(
            (commands[0].id, commands[0].connect.is_some(), error),
            (1, true, None)
        );
        assert_eq!(read(Encoding::Protobuf, &[0]).0.len(), 1, "a pong");
        assert_eq!(read(Encoding::Protobuf, &[5, 8, 1]).1, Some(DecodeError::Length));
        assert!(read(Encoding::Protobuf, &[0xff; 12]).1.is_some());
    }

    #[test]
    fn commands_before_a_fault_are_yielded() {
        let (commands, error) = read(Encoding::Json, b"{\"id\":1}\nnonsense");
        assert_eq!(commands.len(), 1);
        assert!(error.is_some());
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(frame: Vec<u8>, json: bool) {
            let encoding = if json { Encoding::Json } else { Encoding::Protobuf };
            let _ = read(encoding, &frame);
        }
    }
}
