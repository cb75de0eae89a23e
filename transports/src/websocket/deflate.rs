//! permessage-deflate (RFC 7692) without context takeover: every message stands alone, so no connection keeps a
//! window and one compressed message may serve many connections.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What RFC 7692 removes from the end of a message and adds before inflating.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
const STEP: usize = 4096;

thread_local! {
    static COMPRESSOR: RefCell<Option<(u32, Compress)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Why a message could not be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InflateError {
    TooBig,
    Malformed,
}

/// Inflates one message to at most `limit` bytes; memory grows with the output, never ahead of it.
pub(super) fn inflate(input: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        decompressor.reset(false);
        let mut output = Vec::new();
        for part in [input, &TAIL] {
            let mut rest = part;
            loop {
                if output.len() > limit {
                    return Err(InflateError::TooBig);
                }
                output.reserve(STEP);
                let (read, written) = (decompressor.total_in(), output.len());
                let status = decompressor
                    .decompress_vec(rest, &mut output, FlushDecompress::Sync)
                    .map_err(|_| InflateError::Malformed)?;
                let used = usize::try_from(decompressor.total_in() - read).unwrap_or(usize::MAX);
                rest = rest.get(used..).unwrap_or_default();
                match status {
                    Status::StreamEnd => break,
                    _ if rest.is_empty() && output.len() < output.capacity() => break,
                    _ if used == 0 && output.len() == written => {
                        return Err(InflateError::Malformed);
                    }
                    _ => {}
                }
            }
        }
        if output.len() > limit {
            Err(InflateError::TooBig)
        } else {
            Ok(output)
        }
    })
}

/// Appends the compressed form of one message to `output`; `false` if that failed and nothing may be sent so.
pub(super) fn deflate(input: &[u8], level: u32, output: &mut Vec<u8>) -> bool {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some((current, compressor)) if *current == level => compressor,
            _ => {
                &mut slot
                    .insert((level, Compress::new(Compression::new(level), false)))
                    .1
            }
        };
        compressor.reset();
        let start = output.len();
        let mut rest = input;
        loop {
            output.reserve(STEP.max(rest.len() / 2));
            let read = compressor.total_in();
            if compressor
                .compress_vec(rest, output, FlushCompress::Sync)
                .is_err()
            {
                output.truncate(start);
                return false;
            }
            let used = usize::try_from(compressor.total_in() - read).unwrap_or(usize::MAX);
            rest = rest.get(used..).unwrap_or_default();
            // A sync flush is complete once the output was not filled to its end.
            if rest.is_empty() && output.len() < output.capacity() {
                break;
            }
        }
        if output.ends_with(&TAIL) {
            output.truncate(output.len() - TAIL.len());
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_7692() {
        let compressed = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&compressed, 5).as_deref(), Ok(&b"Hello"[..]));
        assert_eq!(inflate(&compressed, 4), Err(InflateError::TooBig));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let mut compressed = Vec::new();
        assert!(deflate(&vec![0; 10_000_000], 9, &mut compressed));
        assert!(compressed.len() < 20_000);
        assert_eq!(inflate(&compressed, 65_536), Err(InflateError::TooBig));
    }

    proptest! {
        #[test]
        fn round_trip(message in proptest::collection::vec(any::<u8>(), 0..20_000), level in 1_u32..=9) {
            let mut compressed = Vec::new();
            prop_assert!(deflate(&message, level, &mut compressed));
            prop_assert_eq!(inflate(&compressed, message.len()), Ok(message));
        }

        #[test]
        fn random_bytes_never_panic(input: Vec<u8>) {
            let _ = inflate(&input, 1000);
        }
    }
}
