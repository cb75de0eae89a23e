use proptest::prelude::*;

use super::*;

#[test]
fn a_channel_lingers_and_goes() {
    let mut lingering = Lingering::default();
    let now = Instant::now();
    assert!(lingering.leave("a", now));
    assert_eq!(lingering.settle(now, |_| false), None, "too early");
    // Somebody came and left once more: the time begins again.
    let later = now + LINGER / 2;
    assert!(!lingering.leave("a", later));
    let settled = lingering.settle(now + LINGER, |_| false);
    assert_eq!(settled, Some(("a".into(), Settled::Kept)));
    let settled = lingering.settle(later + LINGER, |_| false);
    assert_eq!(settled, Some(("a".into(), Settled::Removed)));
    assert_eq!(lingering.next_due(), None);
    assert!(lingering.left.is_empty());
}

#[test]
fn a_channel_stays_for_those_who_came_back() {
    let mut lingering = Lingering::default();
    let now = Instant::now();
    lingering.leave("a", now);
    assert!(!lingering.leave("b", now), "awake already");
    let settled = lingering.settle(now + LINGER, |channel| channel == "a");
    assert_eq!(settled, Some(("a".into(), Settled::Kept)));
    let settled = lingering.settle(now + LINGER, |channel| channel == "a");
    assert_eq!(settled, Some(("b".into(), Settled::Removed)));
    assert!(lingering.leave("a", now + LINGER), "queued again");
}

/// A subscriber of one channel between its steps, any of which may be followed by those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Subscriber {
    #[default]
    Out,
    /// In the hub, has not asked yet.
    Entered,
    /// Has asked in this attempt of the connection.
    Waiting(u32),
    /// Was told that nothing is missed from now.
    Delivered,
    /// Was the last to leave the hub, has not told yet.
    Leaving,
}

#[derive(Clone, Debug)]
enum Action {
    /// The next step of one.
    Step(usize),
    /// One leaves, wherever it is.
    Leave(usize),
    /// The server confirms.
    Confirm,
    /// The connection is lost: attempts fail, what was confirmed survives.
    Lose,
    /// Time passes.
    Pass(u64),
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0_usize..4).prop_map(Action::Step),
        3 => (0_usize..4).prop_map(Action::Leave),
        2 => Just(Action::Confirm),
        1 => Just(Action::Lose),
        3 => (100_u64..900).prop_map(Action::Pass),
    ]
}

/// What the connection promises of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Absent,
    Pending,
    Active,
}

/// The channel with the world around it: subscribers, hub, connection and clock.
struct World {
    lingering: Lingering,
    subscribers: [Subscriber; 4],
    channel: Channel,
    attempt: u32,
    now: Instant,
}

impl World {
    fn in_hub(&self) -> usize {
        let inside = |one: &&Subscriber| !matches!(one, Subscriber::Out | Subscriber::Leaving);
        self.subscribers.iter().filter(inside).count()
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Step(index) => self.step(*index),
            Action::Leave(index) => {
                if !matches!(self.subscribers[*index], Subscriber::Out | Subscriber::Leaving) {
                    self.subscribers[*index] = Subscriber::Out;
                    if self.in_hub() == 0 {
                        self.subscribers[*index] = Subscriber::Leaving;
                    }
                }
            }
            Action::Confirm if self.channel == Channel::Pending => self.channel = Channel::Active,
            Action::Lose if self.channel == Channel::Pending => {
                self.channel = Channel::Absent;
                self.attempt += 1;
            }
            Action::Confirm | Action::Lose => {}
            Action::Pass(milliseconds) => {
                self.now += Duration::from_millis(*milliseconds);
                let is_used = self.in_hub() > 0;
                while let Some((_, settled)) = self.lingering.settle(self.now, |_| is_used) {
                    if settled == Settled::Removed {
                        self.channel = Channel::Absent;
                        self.attempt += 1;
                    }
                }
            }
        }
    }

    fn step(&mut self, index: usize) {
        self.subscribers[index] = match self.subscribers[index] {
            Subscriber::Out => Subscriber::Entered,
            Subscriber::Entered => {
                if self.channel == Channel::Absent {
                    self.channel = Channel::Pending;
                }
                match self.channel {
                    Channel::Active => Subscriber::Delivered,
                    Channel::Absent | Channel::Pending => Subscriber::Waiting(self.attempt),
                }
            }
            Subscriber::Waiting(attempt) if attempt == self.attempt => match self.channel {
                Channel::Active => Subscriber::Delivered,
                Channel::Absent | Channel::Pending => Subscriber::Waiting(attempt),
            },
            Subscriber::Waiting(_) => {
                // It failed, and leaves the hub again.
                self.act(&Action::Leave(index));
                return;
            }
            Subscriber::Delivered => Subscriber::Delivered,
            Subscriber::Leaving => {
                self.lingering.leave("a", self.now);
                Subscriber::Out
            }
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whoever_was_told_so_is_delivered_to(actions in proptest::collection::vec(any_action(), 0..60)) {
        let mut world = World {
            lingering: Lingering::default(),
            subscribers: Default::default(),
            channel: Channel::Absent,
            attempt: 0,
            now: Instant::now(),
        };
        for action in &actions {
            world.act(action);
            let was_told = world.subscribers.contains(&Subscriber::Delivered);
            prop_assert!(!was_told || world.channel == Channel::Active, "after {action:?}");
        }
        // In the end everybody leaves, and nothing is left.
        for index in 0..4 {
            world.act(&Action::Leave(index));
        }
        for index in 0..4 {
            if world.subscribers[index] == Subscriber::Leaving {
                world.step(index);
            }
        }
        for _ in 0..4 {
            world.act(&Action::Pass(1000));
        }
        prop_assert_eq!(world.channel, Channel::Absent);
        prop_assert_eq!(world.lingering.next_due(), None);
    }
}
