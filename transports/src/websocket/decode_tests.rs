use proptest::prelude::*;

use super::*;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).expect("short")),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("medium").to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.into_iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

fn decoder() -> Decoder {
    Decoder::new(100_000, 100_000, false)
}

fn one(decoder: &mut Decoder, mut input: Vec<u8>) -> Result<Option<Vec<u8>>, Violation> {
    match decoder.decode(&mut input)? {
        Step::Frame(_, Some(Event::Message(message))) => Ok(Some(message.to_vec())),
        Step::Frame(_, Some(Event::Assembled(message))) => Ok(Some(message)),
        _ => Ok(None),
    }
}

#[test]
fn refuses_what_rfc_6455_forbids() {
    let unmasked = vec![0x81, 0x01, b'x'];
    let cases = [
        (unmasked, "bad MASK"),
        (frame(0xc1, b"x"), "unexpected reserved bits"),
        (frame(0x83, b"x"), "bad opcode 3"),
        (frame(0x8f, b"x"), "bad opcode 15"),
        (frame(0x80, b"x"), "continuation after FIN"),
        (frame(0x09, b"x"), "FIN not set on control"),
        (frame(0x89, &[0; 126]), "len > 125 for control"),
        (frame(0x88, &[1]), "bad close code"),
        (frame(0x88, &1005_u16.to_be_bytes()), "bad close code"),
    ];
    for (mut input, reason) in cases {
        let violation = decoder().decode(&mut input).expect_err(reason);
        assert_eq!(violation, Violation { code: 1002, reason });
    }
}

#[test]
fn the_limit_counts_all_fragments_and_needs_no_payload() {
    let mut decoder = Decoder::new(10, 100, false);
    assert_eq!(
        one(&mut decoder, frame(0x81, &[b'x'; 10])),
        Ok(Some(vec![b'x'; 10]))
    );
    let mut header_only = frame(0x81, &[b'x'; 11]);
    header_only.truncate(2);
    assert_eq!(decoder.decode(&mut header_only).err(), Some(Violation::TOO_BIG));
    assert_eq!(one(&mut decoder, frame(0x01, &[b'x'; 6])), Ok(None));
    assert_eq!(
        one(&mut decoder, frame(0x80, &[b'x'; 5])),
        Err(Violation::TOO_BIG)
    );
}

#[test]
fn control_frames_may_stand_between_fragments() {
    let mut decoder = decoder();
    assert_eq!(one(&mut decoder, frame(0x01, b"he")), Ok(None));
    let mut ping = frame(0x89, b"p");
    assert_eq!(
        decoder.decode(&mut ping),
        Ok(Step::Frame(7, Some(Event::Ping(b"p"))))
    );
    assert!(decoder.holds_fragments());
    assert_eq!(one(&mut decoder, frame(0x80, b"y")), Ok(Some(b"hey".to_vec())));
    assert_eq!(one(&mut decoder, frame(0x81, b"z")), Ok(Some(b"z".to_vec())));
}

proptest! {
    #[test]
    fn messages_survive_any_fragmentation(message: Vec<u8>, cuts in proptest::collection::vec(0_usize..300, 0..4)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
        cuts.sort_unstable();
        cuts.push(message.len());
        let mut decoder = decoder();
        let (mut start, mut result) = (0, None);
        for (index, end) in cuts.iter().enumerate() {
            let fin = if index + 1 == cuts.len() { 0x80 } else { 0 };
            let opcode = if index == 0 { 0x2 } else { 0x0 };
            result = one(&mut decoder, frame(fin | opcode, &message[start..*end])).expect("valid");
            start = *end;
        }
        prop_assert_eq!(result, Some(message));
    }

    #[test]
    fn random_bytes_never_panic(mut input: Vec<u8>, compression: bool) {
        let mut decoder = Decoder::new(50, 50, compression);
        let mut at = 0;
        while let Ok(Step::Frame(used, _)) = decoder.decode(&mut input[at..]) {
            at += used;
        }
    }
}
