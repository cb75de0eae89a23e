//! Frames, settings and the peer's critical streams of HTTP/3: how the bytes are cut into reads changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::{choice, pieces};
use tidegate_transports::http3::control::{ControlDecoder, DecoderStream, decode_encoder_stream};
use tidegate_transports::http3::frame::{Decoder, Piece};
use tidegate_transports::http3::{settings, varint};

fuzz_target!(|data: &[u8]| {
    let Some((seed, data)) = choice(data) else { return };
    assert_eq!(frames(std::iter::once(data)), frames(pieces(data, seed)));

    let whole = ControlDecoder::default().decode(data);
    let mut decoder = ControlDecoder::default();
    let cut = pieces(data, seed).try_fold(None, |settings, piece| {
        decoder.decode(piece).map(|read| read.or(settings))
    });
    assert_eq!(whole, cut);

    let whole = DecoderStream::default().decode(data);
    let mut decoder = DecoderStream::default();
    assert_eq!(
        whole,
        pieces(data, seed).try_for_each(|piece| decoder.decode(piece))
    );

    let _ = (decode_encoder_stream(data), settings::decode(data));
    if let Some((value, taken)) = varint::decode(data) {
        let mut written = Vec::new();
        varint::encode(value, &mut written);
        assert_eq!(varint::decode(&written), Some((value, written.len())));
        assert!(written.len() <= taken, "not the shortest form");
    }
});

/// Types, announced lengths and payloads; a payload that the input cuts off is as long as it came.
fn frames<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<(u64, u64, Vec<u8>)>, bool) {
    let mut decoder = Decoder::default();
    let mut frames: Vec<(u64, u64, Vec<u8>)> = Vec::new();
    for mut read in reads {
        while let Some(piece) = decoder.next(&mut read) {
            match (piece, frames.last_mut()) {
                (Piece::Start { kind, len }, _) => frames.push((kind, len, Vec::new())),
                (Piece::Payload { kind, bytes, last }, Some((of, len, payload))) => {
                    payload.extend_from_slice(bytes);
                    assert_eq!((kind, last), (*of, payload.len() as u64 == *len));
                }
                (Piece::Payload { .. }, None) => panic!("a payload before its frame"),
            }
        }
        assert!(read.is_empty(), "input left over");
    }
    (frames, decoder.is_between_frames())
}
