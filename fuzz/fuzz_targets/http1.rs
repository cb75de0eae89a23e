//! Requests that are answered without the HTTP stack: where one ends does not hang on what follows it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_transports::tcp::{length_of_call, length_of_handshake};

fuzz_target!(|data: &[u8]| {
    for length_of in [length_of_call, length_of_handshake] {
        let Some(length) = length_of(data) else { continue };
        let request = data.get(..length).expect("no longer than what was read");
        assert_eq!(length_of(request), Some(length));
        assert_eq!(length_of(&request[..length - 1]), None);
        let mut followed = request.to_vec();
        followed.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(length_of(&followed), Some(length));
    }
});
