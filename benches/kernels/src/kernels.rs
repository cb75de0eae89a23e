//! What is counted, and the tests on it.

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Instant;

use tidegate_transports::{Encoding, Frame};

use crate::counting::allocations;
use crate::crowd::Crowd;

/// Calls of a kernel's function in one run.
pub(crate) const ROUNDS: usize = 200;

/// Subscribers in the kernels with many.
const MANY: usize = 1000;

/// Publications that queue up before writers come, in the measurements under pressure.
const BACKLOG: usize = 64;

/// Runs a kernel so many times.
pub(crate) type Kernel = fn(usize);

/// What a run under callgrind may ask for. Instructions are collected inside of functions named `kernel_…` only.
pub(crate) const KERNELS: [(&str, Kernel); 4] = [
    // To one subscriber: the encoding is nearly all of it.
    ("encode_json", |rounds| {
        publish(&Crowd::uniform(Encoding::Json, 1), rounds);
    }),
    ("encode_protobuf", |rounds| {
        publish(&Crowd::uniform(Encoding::Protobuf, 1), rounds);
    }),
    // To many: the encoding hardly counts. Then, one frame is taken from each of many outboxes.
    ("fan_out", |rounds| publish(&Crowd::mixed(MANY), rounds)),
    ("drain", |rounds| drain(&Crowd::mixed(MANY), rounds)),
];

fn publish(crowd: &Crowd, rounds: usize) {
    let mut taken = Vec::new();
    for _ in 0..rounds {
        kernel_publish(crowd);
        crowd.drain(&mut taken);
        taken.clear();
    }
}

fn drain(crowd: &Crowd, rounds: usize) {
    let mut taken = Vec::new();
    for _ in 0..rounds {
        crowd.publish();
        kernel_drain(crowd, &mut taken);
        taken.clear();
    }
}

#[inline(never)]
fn kernel_publish(crowd: &Crowd) {
    black_box(crowd.publish());
}

#[inline(never)]
fn kernel_drain(crowd: &Crowd, taken: &mut Vec<Frame>) {
    crowd.drain(black_box(taken));
}

/// All counts, and the time of a delivery, as one line of JSON.
pub(crate) fn report() -> String {
    let pressure = allocations_under_pressure();
    format!(
        "{{\"encodings\":{},\"allocations_per_publication\":{:.0},\"allocations_per_delivery\":{:.4},\
         \"allocations_with_queue\":{:.4},\"allocations_calm\":{:.4},\"ns_per_delivery\":{:.1}}}",
        encodings(),
        pressure.per_publication,
        pressure.per_delivery,
        pressure.with_queue,
        allocations_at_a_calm_pace(),
        nanoseconds_per_delivery(),
    )
}

/// Distinct encodings of one publication to a mixed crowd: how many different buffers the subscribers share.
fn encodings() -> usize {
    let crowd = Crowd::mixed(MANY);
    let mut frames = Vec::new();
    crowd.publish();
    crowd.drain(&mut frames);
    let buffers: HashSet<*const u8> = frames.iter().map(|frame| frame.payload().as_ptr()).collect();
    buffers.len()
}

struct Allocations {
    /// Whatever the number of subscribers is: encodings and their bookkeeping.
    per_publication: f64,
    /// For each subscriber, where no queue had to grow.
    per_delivery: f64,
    /// The same with the growth of the queues.
    with_queue: f64,
}

/// Publications one after the other, no writer in between. Two crowds of different size tell what a publication costs
/// from what a delivery does; queues grow at some publications only, so the cheapest one is without.
fn allocations_under_pressure() -> Allocations {
    let (few, many) = (backlog(MANY / 10), backlog(MANY));
    let more = (MANY - MANY / 10) as f64;
    let per_delivery: Vec<f64> = few
        .iter()
        .zip(&many)
        .map(|(few, many)| (*many as f64 - *few as f64) / more)
        .collect();
    let least = per_delivery.iter().copied().fold(f64::INFINITY, f64::min);
    Allocations {
        per_publication: many.iter().copied().min().unwrap_or(0) as f64 - least * MANY as f64,
        per_delivery: least,
        with_queue: per_delivery.iter().sum::<f64>() / BACKLOG as f64,
    }
}

/// Allocations of each publication of a backlog.
fn backlog(subscribers: usize) -> Vec<u64> {
    let crowd = Crowd::mixed(subscribers);
    let mut counts = Vec::with_capacity(BACKLOG);
    for _ in 0..BACKLOG {
        counts.push(allocations(|| {
            crowd.publish();
        }));
    }
    counts
}

/// Allocations of a delivery when writers keep up: every queue is empty before and after.
fn allocations_at_a_calm_pace() -> f64 {
    let counts = [MANY / 10, MANY].map(|subscribers| {
        let crowd = Crowd::mixed(subscribers);
        let mut taken = Vec::with_capacity(subscribers);
        let mut round = || {
            crowd.publish();
            crowd.drain(&mut taken);
            taken.clear();
        };
        round();
        allocations(round) as f64
    });
    (counts[1] - counts[0]) / (MANY - MANY / 10) as f64
}

/// The best of some rounds, publishing and draining; what disturbs a round only makes it longer.
fn nanoseconds_per_delivery() -> f64 {
    let crowd = Crowd::mixed(MANY);
    let mut taken = Vec::new();
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for _ in 0..BACKLOG {
            crowd.publish();
        }
        crowd.drain(&mut taken);
        let time = start.elapsed();
        taken.clear();
        time.as_nanos() as f64 / (MANY * BACKLOG) as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_transports_share_one_buffer_per_encoding() {
        assert_eq!(encodings(), 2, "JSON and Protobuf");
    }

    #[test]
    fn everybody_gets_every_publication() {
        assert_eq!(Crowd::mixed(MANY).publish(), MANY as u64);
    }

    #[test]
    fn a_delivery_allocates_nothing_but_room_in_its_queue() {
        let counted = allocations_under_pressure();
        assert_eq!(counted.per_delivery, 0.0);
        // A queue that doubles from four places grows five times on the way to 64.
        assert!(
            counted.with_queue <= 5.0 / BACKLOG as f64 + 0.001,
            "{}",
            counted.with_queue
        );
    }

    #[test]
    fn a_calm_delivery_allocates_its_queue_at_most() {
        assert!(allocations_at_a_calm_pace() <= 1.0);
    }
}
