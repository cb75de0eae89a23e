//! Units as bytes, and what their answers will be to.

use bytes::Bytes;

use super::flight::{Flight, Sent};
use super::plan::Unit;
use crate::call::Operation;
use crate::queue::Queued;
use crate::resp::{array, string};
use crate::script::Script;

/// Scripts that a connection has loaded.
#[derive(Default)]
pub(super) struct Loaded(Vec<&'static Script>);

impl Loaded {
    /// Whether it is new, which it is not from now on.
    fn add(&mut self, script: &'static Script) -> bool {
        let is_new = !self.0.iter().any(|known| std::ptr::eq(*known, script));
        if is_new {
            self.0.push(script);
        }
        is_new
    }
}

/// Appends a unit.
pub(super) fn encode(unit: Unit, loaded: &mut Loaded, out: &mut Vec<u8>, flight: &mut Flight) {
    match unit {
        Unit::Call(queued) => {
            ask(&queued, out, flight);
            if let Operation::Command(packed) = &queued.call.operation {
                out.extend_from_slice(packed);
            }
            flight.push(Sent::Call(queued));
        }
        Unit::Merged(script, calls) => {
            let in_full = calls.iter().any(|queued| queued.in_full);
            if !in_full && loaded.add(script) {
                array(out, 3);
                string(out, b"SCRIPT");
                string(out, b"LOAD");
                string(out, script.source().as_bytes());
                flight.push(Sent::Ours);
            }
            if let Some(first) = calls.first() {
                ask(first, out, flight);
            }
            array(out, 3 + calls.len() * (script.keys_per + script.args_per));
            if in_full {
                string(out, b"EVAL");
                string(out, script.source().as_bytes());
            } else {
                string(out, b"EVALSHA");
                string(out, script.digest().as_bytes());
            }
            string(
                out,
                itoa::Buffer::new()
                    .format(calls.len() * script.keys_per)
                    .as_bytes(),
            );
            each(&calls, out, |operation| match operation {
                Operation::Script { keys, .. } => keys,
                Operation::Command(_) => &[],
            });
            each(&calls, out, |operation| match operation {
                Operation::Script { args, .. } => args,
                Operation::Command(_) => &[],
            });
            flight.push(Sent::Merged(calls));
        }
    }
}

/// Has a node of a cluster do what it is about to own.
fn ask(queued: &Queued, out: &mut Vec<u8>, flight: &mut Flight) {
    if queued.asking {
        array(out, 1);
        string(out, b"ASKING");
        flight.push(Sent::Ours);
    }
}

fn each(calls: &[Queued], out: &mut Vec<u8>, part: impl Fn(&Operation) -> &[Bytes]) {
    for queued in calls {
        for text in part(&queued.call.operation) {
            string(out, text);
        }
    }
}
