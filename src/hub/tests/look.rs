//! Looks at streams' tops that subscribers share.

use futures_util::FutureExt;

use super::*;

struct World {
    hub: Hub,
    subscribers: Vec<Arc<Subscriber>>,
    epoch: Epoch,
}

impl World {
    /// Subscribers that stand at offset 3.
    fn of(count: usize) -> Self {
        let (hub, epoch) = (Hub::default(), Epoch::new("E"));
        let channel: Arc<str> = "ch".into();
        let subscribers = (0..count).map(|_| {
            let one = subscriber(&handle(Encoding::Json, None), true);
            hub.join(&channel, &one);
            one.catch_up(Vec::new(), top(3, &epoch), false, 0)
                .expect("no gap");
            one.release(&channel, 0);
            one
        });
        Self {
            subscribers: subscribers.collect(),
            hub,
            epoch,
        }
    }

    /// A look of somebody who stands there; what it has shown, and whether the stream was read.
    fn look(&self, at: u64, since_ms: i64, read: Option<Sighting>) -> (Option<Sighting>, bool) {
        let mut was_read = false;
        let position = top(at, &self.epoch);
        let looking = self.hub.look("ch", &position, since_ms, async || {
            was_read = true;
            read
        });
        let seen = looking.now_or_never().expect("nothing to wait for");
        (seen, was_read)
    }

    fn seen(&self, offset: u64, seen_ms: i64) -> Sighting {
        Sighting {
            top: top(offset, &self.epoch),
            seen_ms,
        }
    }
}

#[test]
fn one_look_is_one_for_all() {
    let world = World::of(2);
    let seen = world.seen(3, 100);
    assert_eq!(world.look(3, 50, Some(seen.clone())), (Some(seen.clone()), true));
    assert_eq!(world.look(3, 100, None), (Some(seen.clone()), false));
    // Since then it may have changed.
    let later = world.seen(3, 200);
    assert_eq!(
        world.look(3, 101, Some(later.clone())),
        (Some(later.clone()), true)
    );
    // A look that began earlier and took longer.
    assert_eq!(world.look(3, 201, Some(seen.clone())), (Some(seen), true));
    assert_eq!(world.look(3, 200, None), (Some(later), false));
}

#[test]
fn who_stands_elsewhere_looks_for_himself() {
    let world = World::of(2);
    world.look(3, 0, Some(world.seen(3, 100)));
    let moved = world.seen(4, 150);
    assert_eq!(
        world.look(2, 50, Some(moved.clone())),
        (Some(moved.clone()), true)
    );
    assert_eq!(world.look(4, 50, None), (Some(moved.clone()), false));
    assert_eq!(
        world.look(3, 50, None),
        (None, true),
        "what could not be read is not known"
    );
    assert!(!world.subscribers[0].confirm(&top(3, &world.epoch), &moved));
}

#[test]
fn who_is_alone_keeps_nothing() {
    let world = World::of(1);
    let seen = world.seen(3, 100);
    assert_eq!(world.look(3, 50, Some(seen.clone())), (Some(seen), true));
    assert_eq!(world.look(3, 50, None), (None, true));
}

/// It was right when the look began; what came since may be missing.
#[test]
fn a_confirmation_is_as_old_as_its_look() {
    let world = World::of(1);
    let one = &world.subscribers[0];
    assert!(one.confirm(&top(3, &world.epoch), &world.seen(3, 100)));
    assert_eq!(one.position(), Some((top(3, &world.epoch), 100)));
    assert!(one.confirm(&top(3, &world.epoch), &world.seen(3, 50)));
    assert_eq!(one.position(), Some((top(3, &world.epoch), 100)), "never older");
}
