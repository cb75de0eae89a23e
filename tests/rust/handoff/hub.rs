//! The delivering part of `src/hub`, over loom's locks.

#[path = "../../../src/hub/batch.rs"]
mod batch;
#[path = "../../../src/hub/channel.rs"]
mod channel;
#[path = "../../../src/hub/encoded.rs"]
mod encoded;
#[path = "../../../src/hub/numbers.rs"]
mod numbers;
#[path = "../../../src/hub/subscriber.rs"]
mod subscriber;
mod sync;
#[path = "../../../src/hub/tailored.rs"]
mod tailored;
pub mod world;

use std::sync::Arc;

use channel::{Channel, Left};
use encoded::EncodedPublication;
use numbers::Numbers;
use subscriber::{Subscriber, Tracking};
use sync::Mutex;
use tidegate::hub::{Delivery, Event, Handle, Sighting};

use crate::engine::{Epoch, Publication};

/// What `Hub::publication` does once it has found the channel.
fn broadcast(channel: &Channel, publication: &Arc<Publication>, epoch: &Epoch) {
    let mut encoded = EncodedPublication::new(&channel.name, publication, Some(epoch));
    channel.broadcast(|subscribers, _| {
        for subscriber in subscribers {
            let delivery = &mut Delivery::default();
            subscriber.offer(publication, Some(epoch), 0, &mut encoded, delivery);
        }
    });
}
