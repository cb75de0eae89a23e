//! SETTINGS of both sides (RFC 9114 section 7.2.4).

use bytes::BufMut;

use super::error::{Code, ConnectionFault};
use super::varint;

/// What we use of a peer's settings. Everything else is checked and forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerSettings {
    /// The peer understands HTTP datagrams (RFC 9297).
    pub datagrams: bool,
}

/// Our settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Largest field section that we accept, counted as in RFC 9114 section 4.2.2.
    pub max_field_section: u64,
    /// Whether WebTransport sessions may be opened.
    pub webtransport: bool,
}

impl Settings {
    /// Writes the payload of our SETTINGS frame. QPACK limits are absent: their defaults, zero, are ours.
    ///
    /// Browsers of the last years look for different signs of WebTransport, so all of them are given
    /// (protocol.md 5.5); the limits on sessions and streams are those of QUIC.
    pub fn encode(&self, out: &mut impl BufMut) {
        let mut put = |id, value| {
            varint::encode(id, out);
            varint::encode(value, out);
        };
        put(MAX_FIELD_SECTION_SIZE, self.max_field_section);
        if self.webtransport {
            put(ENABLE_CONNECT_PROTOCOL, 1);
            put(H3_DATAGRAM, 1);
            put(H3_DATAGRAM_DRAFT_04, 1);
            put(ENABLE_WEBTRANSPORT_DRAFT_02, 1);
            put(WT_ENABLED, 1);
            put(WT_MAX_SESSIONS_DRAFT_07, varint::MAX);
            put(WT_MAX_SESSIONS, varint::MAX);
            put(WT_INITIAL_MAX_STREAMS_UNI, 1 << 60);
            put(WT_INITIAL_MAX_STREAMS_BIDI, 1 << 60);
            put(WT_INITIAL_MAX_DATA, 1 << 60);
        }
    }
}

/// Reads the payload of a peer's SETTINGS frame.
///
/// # Errors
/// H3_FRAME_ERROR if it is cut short; H3_SETTINGS_ERROR for ids of HTTP/2, duplicates, and flags that are
/// neither 0 nor 1.
pub fn decode(mut payload: &[u8]) -> Result<PeerSettings, ConnectionFault> {
    let mut settings = PeerSettings::default();
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let (id, value, used) = super::frame::decode_header(payload)
            .ok_or(ConnectionFault::new(Code::FRAME_ERROR, "SETTINGS cut short"))?;
        payload = payload.get(used..).unwrap_or_default();
        // The payload's limit keeps this list short enough for a linear search.
        if seen.contains(&id) {
            return Err(ConnectionFault::new(Code::SETTINGS_ERROR, "setting repeated"));
        }
        seen.push(id);
        match id {
            0x00 | 0x02..=0x05 => {
                return Err(ConnectionFault::new(Code::SETTINGS_ERROR, "setting of HTTP/2"));
            }
            ENABLE_CONNECT_PROTOCOL | H3_DATAGRAM if value > 1 => {
                return Err(ConnectionFault::new(
                    Code::SETTINGS_ERROR,
                    "flag is neither 0 nor 1",
                ));
            }
            H3_DATAGRAM | H3_DATAGRAM_DRAFT_04 => settings.datagrams |= value == 1,
            _ => {}
        }
    }
    Ok(settings)
}

const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
const H3_DATAGRAM: u64 = 0x33;
const H3_DATAGRAM_DRAFT_04: u64 = 0x00ff_d277;
const ENABLE_WEBTRANSPORT_DRAFT_02: u64 = 0x2b60_3742;
const WT_ENABLED: u64 = 0x2c7c_f000;
const WT_MAX_SESSIONS_DRAFT_07: u64 = 0xc671_706a;
const WT_MAX_SESSIONS: u64 = 0x14e9_cd29;
const WT_INITIAL_MAX_STREAMS_UNI: u64 = 0x2b64;
const WT_INITIAL_MAX_STREAMS_BIDI: u64 = 0x2b65;
const WT_INITIAL_MAX_DATA: u64 = 0x2b61;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn code(payload: &[u8]) -> Code {
        decode(payload).unwrap_err().code
    }

    #[test]
    fn ours_are_valid_settings() {
        let mut out = Vec::new();
        Settings {
            max_field_section: 1 << 20,
            webtransport: true,
        }
        .encode(&mut out);
        assert_eq!(decode(&out), Ok(PeerSettings { datagrams: true }));
    }

    #[test]
    fn broken_settings_are_refused() {
        assert_eq!(decode(&[]), Ok(PeerSettings::default()));
        assert_eq!(code(&[0x08]), Code::FRAME_ERROR);
        assert_eq!(code(&[0x02, 0x01]), Code::SETTINGS_ERROR);
        assert_eq!(code(&[0x06, 0x01, 0x06, 0x01]), Code::SETTINGS_ERROR);
        assert_eq!(code(&[0x33, 0x02]), Code::SETTINGS_ERROR);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
