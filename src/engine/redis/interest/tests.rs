use std::collections::HashMap as StdHashMap;

use proptest::prelude::*;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;

fn unavailable() -> EngineError {
    EngineError::Unavailable("gone".to_owned())
}

fn start(interest: &mut Interest) -> (Ticket, Confirmation) {
    match interest.subscribe("a") {
        Step::Start(ticket, confirmation) => (ticket, confirmation),
        step => panic!("{step:?}"),
    }
}

#[test]
fn second_subscribers_wait_for_the_first() {
    let mut interest = Interest::default();
    let (ticket, mut first) = start(&mut interest);
    let Step::Wait(mut second) = interest.subscribe("a") else {
        panic!("not told to wait");
    };
    assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
    assert!(interest.confirmed("a", ticket, &Ok(())));
    assert_eq!(first.try_recv(), Ok(Ok(())));
    assert_eq!(second.try_recv(), Ok(Ok(())));
    assert!(matches!(interest.subscribe("a"), Step::Ready));
}

#[test]
fn a_failed_attempt_fails_those_who_wait_and_nobody_later() {
    let mut interest = Interest::default();
    let (ticket, mut first) = start(&mut interest);
    assert!(interest.confirmed("a", ticket, &Err(unavailable())));
    assert_eq!(first.try_recv(), Ok(Err(unavailable())));
    let (again, _waiting) = start(&mut interest);
    assert!(
        !interest.confirmed("a", ticket, &Ok(())),
        "an answer to another attempt"
    );
    assert!(interest.confirmed("a", again, &Ok(())));
}

#[test]
fn a_channel_lingers_and_goes() {
    let mut interest = Interest::default();
    let now = Instant::now();
    let (ticket, _waiting) = start(&mut interest);
    interest.confirmed("a", ticket, &Ok(()));
    assert!(interest.leave("a", now));
    assert_eq!(interest.settle(now, |_| false), None, "too early");
    // Somebody came and left once more: the time begins again.
    let later = now + LINGER / 2;
    assert!(!interest.leave("a", later));
    let settled = interest.settle(now + LINGER, |_| false);
    assert_eq!(settled, Some(("a".into(), Settled::Kept)));
    let settled = interest.settle(later + LINGER, |_| false);
    assert_eq!(settled, Some(("a".into(), Settled::Removed)));
    assert!(interest.is_empty());
    assert_eq!(interest.next_due(), None);
}

#[test]
fn a_channel_stays_for_those_who_came_back() {
    let mut interest = Interest::default();
    let now = Instant::now();
    let (ticket, _waiting) = start(&mut interest);
    interest.confirmed("a", ticket, &Ok(()));
    interest.leave("a", now);
    let settled = interest.settle(now + LINGER, |_| true);
    assert_eq!(settled, Some(("a".into(), Settled::Kept)));
    assert!(matches!(interest.subscribe("a"), Step::Ready));
    assert!(interest.leave("a", now + LINGER), "queued again");
}

/// A subscriber of one channel between its steps, any of which may be followed by those of others.
#[derive(Debug, Default)]
enum Subscriber {
    #[default]
    Out,
    /// In the hub, has not asked yet.
    Entered,
    Waiting(Confirmation),
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
    /// The server answers the oldest attempt.
    Answer(bool),
    /// The connection is lost: all attempts fail.
    Lose,
    /// Time passes.
    Pass(u64),
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0_usize..4).prop_map(Action::Step),
        3 => (0_usize..4).prop_map(Action::Leave),
        3 => proptest::bool::weighted(0.8).prop_map(Action::Answer),
        1 => Just(Action::Lose),
        3 => (100_u64..900).prop_map(Action::Pass),
    ]
}

/// The table with the world around it: subscribers, hub, server and clock.
struct World {
    interest: Interest,
    subscribers: [Subscriber; 4],
    /// Attempts whose answers are under way, in order.
    attempts: VecDeque<Ticket>,
    /// Whether the server delivers, once it has done all that it was told.
    is_subscribed: bool,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self {
            interest: Interest::default(),
            subscribers: Default::default(),
            attempts: VecDeque::new(),
            is_subscribed: false,
            now: Instant::now(),
        }
    }

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
            Action::Answer(is_good) => {
                if let Some(ticket) = self.attempts.pop_front() {
                    self.answer(ticket, *is_good);
                }
            }
            Action::Lose => {
                while let Some(ticket) = self.attempts.pop_front() {
                    self.answer(ticket, false);
                }
            }
            Action::Pass(milliseconds) => {
                self.now += Duration::from_millis(*milliseconds);
                let is_used = self.in_hub() > 0;
                while let Some((_, settled)) = self.interest.settle(self.now, |_| is_used) {
                    if settled == Settled::Removed {
                        self.is_subscribed = false;
                    }
                }
            }
        }
    }

    fn step(&mut self, index: usize) {
        let subscriber = std::mem::take(&mut self.subscribers[index]);
        self.subscribers[index] = match subscriber {
            Subscriber::Out => Subscriber::Entered,
            Subscriber::Entered => match self.interest.subscribe("a") {
                Step::Ready => Subscriber::Delivered,
                Step::Wait(confirmation) => Subscriber::Waiting(confirmation),
                Step::Start(ticket, confirmation) => {
                    self.is_subscribed = true;
                    self.attempts.push_back(ticket);
                    Subscriber::Waiting(confirmation)
                }
            },
            Subscriber::Waiting(mut confirmation) => match confirmation.try_recv() {
                Ok(Ok(())) => Subscriber::Delivered,
                Ok(Err(_)) => {
                    // It leaves the hub again.
                    self.subscribers[index] = Subscriber::Entered;
                    self.act(&Action::Leave(index));
                    return;
                }
                Err(TryRecvError::Empty) => Subscriber::Waiting(confirmation),
                Err(TryRecvError::Closed) => panic!("forgotten while it waits"),
            },
            Subscriber::Delivered => Subscriber::Delivered,
            Subscriber::Leaving => {
                self.interest.leave("a", self.now);
                Subscriber::Out
            }
        };
    }

    /// A failed attempt is taken back at the server, as long as it is the current one.
    fn answer(&mut self, ticket: Ticket, is_good: bool) {
        let result = if is_good { Ok(()) } else { Err(unavailable()) };
        if self.interest.confirmed("a", ticket, &result) && !is_good {
            self.is_subscribed = false;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whoever_was_told_so_is_delivered_to(actions in proptest::collection::vec(any_action(), 0..60)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
            let was_told = world.subscribers.iter().any(|one| matches!(one, Subscriber::Delivered));
            prop_assert!(!was_told || world.is_subscribed, "after {action:?}");
        }
        // In the end everybody leaves, and nothing is left.
        for index in 0..4 {
            world.act(&Action::Leave(index));
        }
        for index in 0..4 {
            if matches!(world.subscribers[index], Subscriber::Leaving) {
                world.step(index);
            }
        }
        world.act(&Action::Lose);
        for _ in 0..4 {
            world.act(&Action::Pass(1000));
        }
        prop_assert!(world.interest.is_empty());
        prop_assert!(!world.is_subscribed);
        prop_assert_eq!(world.interest.next_due(), None);
    }
}

#[test]
fn states_of_many_channels_do_not_mix() {
    let mut interest = Interest::default();
    let mut tickets = StdHashMap::new();
    for channel in ["a", "b", "c"] {
        if let Step::Start(ticket, _) = interest.subscribe(channel) {
            tickets.insert(channel, ticket);
        }
    }
    assert_eq!(interest.len(), 3);
    interest.confirmed("a", tickets["a"], &Ok(()));
    interest.confirmed("b", tickets["b"], &Err(unavailable()));
    assert!(matches!(interest.subscribe("a"), Step::Ready));
    assert!(matches!(interest.subscribe("b"), Step::Start(..)));
    assert!(matches!(interest.subscribe("c"), Step::Wait(_)));
}
