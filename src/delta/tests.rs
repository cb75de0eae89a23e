use proptest::prelude::*;

use super::diff::patch;
use super::{PatchError, apply, diff};

const LIMIT: usize = 1 << 20;

fn text(patch: &[u8]) -> &str {
    std::str::from_utf8(patch).expect("UTF-8")
}

#[test]
fn samples_of_the_specification() {
    assert_eq!(text(&patch(b"", b"abc")), "3\n3:abc1XObC0;");
    assert_eq!(
        text(&patch(br#"{"n":1}"#, br#"{"n":2}"#)),
        "7\n7:{\"n\":2}2qLEhY;"
    );
    assert_eq!(
        diff(br#"{"n":1}"#, br#"{"n":2}"#),
        None,
        "longer than the text itself"
    );
    let base = br#"{"score":"0:0","team":"alpha","minute":1,"events":[]}"#;
    let target = br#"{"score":"1:0","team":"alpha","minute":2,"events":["goal"]}"#;
    let reference = b"w\nB:{\"score\":\"1S@B,K:2,\"events\":[\"goal\"]}26FWUQ;";
    assert_eq!(apply(base, reference, LIMIT).as_deref(), Ok(&target[..]));
    let ours = diff(base, target).expect("shorter");
    assert!(ours.len() <= 50, "{}", text(&ours));
    assert_eq!(apply(base, &ours, LIMIT).as_deref(), Ok(&target[..]));
    // Here the reference divides a character and clients fail.
    let (base, target) = ("0123456789abcdef é".repeat(3), "0123456789abcdef è".repeat(3));
    let ours = patch(base.as_bytes(), target.as_bytes());
    assert!(std::str::from_utf8(&ours).is_ok());
    assert_eq!(
        apply(base.as_bytes(), &ours, LIMIT).as_deref(),
        Ok(target.as_bytes())
    );
}

#[test]
fn little_is_said_of_little_changes() {
    let base: String = (0..500)
        .map(|n| format!(r#"{{"id":{n},"state":"on"}},"#))
        .collect();
    let moved = format!("{}{}", &base[3000..], &base[..3000]);
    let changed = base.replacen("\"id\":250,\"state\":\"on\"", "\"id\":250,\"state\":\"off\"", 1);
    let grown = format!("{}[new]{}[new]{}", &base[..900], &base[900..5000], &base[5000..]);
    for (target, most) in [(&base, 20), (&moved, 200), (&changed, 50), (&grown, 80)] {
        let patch = diff(base.as_bytes(), target.as_bytes()).expect("shorter");
        assert!(patch.len() <= most, "{}", text(&patch));
        assert_eq!(
            apply(base.as_bytes(), &patch, LIMIT).as_deref(),
            Ok(target.as_bytes())
        );
    }
}

#[test]
fn repetitive_data_takes_no_longer() {
    // Quadratic work would not end.
    let base = vec![b'a'; 4 << 20];
    let mut target = base.clone();
    target.extend(b"b".repeat(1 << 20));
    target.extend(&base);
    let patch = diff(&base, &target).expect("shorter");
    assert_eq!(apply(&base, &patch, 16 << 20).as_ref(), Ok(&target));
}

#[test]
fn broken_patches_are_refused() {
    let base = b"0123456789";
    for (patch, error) in [
        (&b""[..], PatchError::Size),
        (b"\n", PatchError::Size),
        (b"3 ", PatchError::Size),
        (b"3\n", PatchError::Unterminated),
        (b"3\n3:abc", PatchError::Unterminated),
        (b"3\n3", PatchError::Unterminated),
        (b"3\n3:abc1XObC0;x", PatchError::Unterminated),
        (b"3\n3:ab", PatchError::Insert),
        (b"3\n2:ab1XObC0;", PatchError::SizeMismatch),
        (b"3\n4:abcd1XObC0;", PatchError::SizeMismatch),
        (b"3\n3:abc1XObC1;", PatchError::Checksum),
        (b"3\n3@8,0;", PatchError::Copy),
        (b"3\n3@~~~~~~~~~~,0;", PatchError::Copy),
        (b"3\n3@0;", PatchError::Command),
        (b"3\n!", PatchError::Command),
        (b"3\n1?", PatchError::Command),
        (b"~~~~~~~~~~\n", PatchError::Limit),
        (b"~~~~~~~~~~~~\n", PatchError::Size),
    ] {
        assert_eq!(
            apply(base, patch, LIMIT),
            Err(error),
            "{:?}",
            String::from_utf8_lossy(patch)
        );
    }
    assert_eq!(apply(base, b"3\n3:abc1XObC0;", 2), Err(PatchError::Limit));
}

/// A text and what edits made of it: pieces kept, dropped, moved and added.
fn versions() -> impl Strategy<Value = (String, String)> {
    let piece = prop_oneof![
        "[a-c]{0,24}",
        "\\PC{0,12}",
        "[é-ø€-₿😀-😎]{0,16}",
        Just("0123456789abcdef".to_owned())
    ];
    let pieces = proptest::collection::vec(piece, 1..12);
    (
        pieces,
        proptest::collection::vec(any::<(u8, bool)>(), 0..16),
        any::<String>(),
    )
        .prop_map(|(pieces, order, added)| {
            let mut target = String::new();
            for (index, adds) in order {
                target.push_str(&pieces[usize::from(index) % pieces.len()]);
                if adds {
                    target.push_str(&added);
                }
            }
            (pieces.concat(), target)
        })
}

proptest! {
    #[test]
    fn patches_restore_texts_and_are_texts((base, target) in versions()) {
        let patch = patch(base.as_bytes(), target.as_bytes());
        prop_assert!(std::str::from_utf8(&patch).is_ok());
        prop_assert_eq!(apply(base.as_bytes(), &patch, LIMIT), Ok(target.clone().into_bytes()));
        let shorter = diff(base.as_bytes(), target.as_bytes());
        prop_assert_eq!(shorter.is_some(), patch.len() < target.len());
    }

    #[test]
    fn patches_restore_anything(
        base in proptest::collection::vec(0x7e_u8..0x83, 0..200),
        target in proptest::collection::vec(0x7e_u8..0x83, 0..200),
    ) {
        prop_assert_eq!(apply(&base, &patch(&base, &target), LIMIT), Ok(target));
    }

    #[test]
    fn noise_is_never_applied_beyond_the_limit(base: Vec<u8>, patch: Vec<u8>) {
        if let Ok(result) = apply(&base, &patch, 100) {
            prop_assert!(result.len() <= 100);
        }
    }
}
