use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decoded(section: &[u8], limit: u64) -> Result<Fields, QpackError> {
    let mut fields = Vec::new();
    decode(section, limit, |name, value| {
        fields.push((name.to_vec(), value.to_vec()));
    })
    .map(|()| fields)
}

fn field(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

#[test]
fn reads_the_example_of_rfc_9204() {
    // Appendix B.1.
    let wire = b"\x00\x00\x51\x0b/index.html";
    assert_eq!(decoded(wire, 1000), Ok(vec![field(":path", "/index.html")]));
}

#[test]
fn reads_huffman_names_and_values() {
    let mut wire = vec![0, 0];
    let (name, value) = (
        huffman::tests::encode(b"x-some-name"),
        huffman::tests::encode(b"some value"),
    );
    put_string(0x28, 3, &name, &mut wire);
    put_string(0x80, 7, &value, &mut wire);
    assert_eq!(decoded(&wire, 1000), Ok(vec![field("x-some-name", "some value")]));
}

#[test]
fn refuses_the_dynamic_table() {
    assert_eq!(decoded(&[0, 7], 1000), Ok(vec![]), "the base does not matter");
    for wire in [
        &[1, 0][..],
        &[0, 0x80, 0x80],
        &[0, 0, 0x80],
        &[0, 0, 0x40, 0],
        &[0, 0, 0x10],
        &[0, 0, 0x00, 0],
    ] {
        assert_eq!(
            decoded(wire, 1000),
            Err(QpackError::DynamicReference),
            "{wire:x?}"
        );
    }
}

#[test]
fn refuses_broken_sections() {
    assert_eq!(decoded(&[], 1000), Err(QpackError::Truncated));
    assert_eq!(decoded(&[0, 0, 0xff, 0x24], 1000), Err(QpackError::StaticIndex));
    assert_eq!(
        decoded(&[0, 0, 0x51, 0x0b, b'/'], 1000),
        Err(QpackError::Truncated)
    );
    assert_eq!(
        decoded(
            &[
                0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
            ],
            1000
        ),
        Err(QpackError::Integer)
    );
}

#[test]
fn counts_the_size_as_the_rfc_says() {
    let mut wire = vec![0, 0];
    encode_field(b"name", b"value", &mut wire);
    assert!(decoded(&wire, 41).is_ok());
    assert_eq!(decoded(&wire, 40), Err(QpackError::TooLarge));
}

proptest! {
    #[test]
    fn round_trips(fields in vec((vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..300)), 0..10)) {
        let mut wire = Vec::new();
        encode_prefix(&mut wire);
        for (name, value) in &fields {
            encode_field(name, value, &mut wire);
        }
        prop_assert_eq!(decoded(&wire, u64::MAX), Ok(fields));
    }

    #[test]
    fn static_entries_round_trip(index in 0u64..99) {
        let (name, value) = static_table::get(index).unwrap();
        let mut wire = Vec::new();
        encode_prefix(&mut wire);
        encode_field(name, value, &mut wire);
        prop_assert!(wire.len() <= 4);
        prop_assert_eq!(decoded(&wire, 1000), Ok(vec![(name.to_vec(), value.to_vec())]));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decoded(&bytes, 1000);
        let mut section = vec![0, 0];
        section.extend_from_slice(&bytes);
        let _ = decoded(&section, 1000);
    }
}
