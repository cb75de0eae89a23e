//! What nodes tell each other of what is refused: whoever can publish to the control channel may send anything. What is
//! taken from it can be read from there, piece by piece, and says the same at another node.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::revocation::{Place, Refusal, Refusals, Revocations};

const NOW: i64 = 1_700_000_000;

fuzz_target!(|data: &[u8]| {
    let data = Bytes::copy_from_slice(data);
    if let Some(place) = Place::decode(data.clone()) {
        let (refusals, next) = Revocations::default().page(&place, 1, NOW);
        assert!(refusals.is_empty() && next.is_none());
    }
    let Some(piece) = Refusals::decode(data) else { return };
    assert_eq!(Refusals::decode(piece.encode()).as_ref(), Some(&piece));
    let known = taken(piece.refusals);
    let first = all(&known, 1);
    let again = taken(first.clone());
    assert_eq!(all(&again, 1000), first);
});

fn taken(refusals: Vec<Refusal>) -> Revocations {
    let known = Revocations::default();
    for refusal in &refusals {
        known.take(refusal, NOW).expect("room");
    }
    known
}

fn all(known: &Revocations, limit: usize) -> Vec<Refusal> {
    let (mut all, mut place) = (Vec::new(), Some(Place::default()));
    while let Some(from) = place {
        let (mut piece, next) = known.page(&from, limit, NOW);
        assert!(next.as_ref().is_none_or(|next| next.is_after(&from)));
        all.append(&mut piece);
        place = next;
    }
    all
}
