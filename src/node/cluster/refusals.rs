//! What is refused on one node is refused on all. Every decision is told to the others at once; a node that comes, or
//! was cut off, asks one of them for all that there is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::seq::SliceRandom;

use super::super::Node;
use super::Cluster;
use crate::api::ApiError;
use crate::cluster::{Control, code, message, op};
use crate::revocation::{Place, Refusal, Refusals};

/// Entries of one answer.
const PIECE: usize = 500;

/// How long a piece is waited for. A node that was cut off as well may not hear yet, and is asked again.
const ANSWER: Duration = Duration::from_secs(2);

/// How many are asked, one after the other, until one of them knows everything: when all were cut off, nobody does.
const ASKED: usize = 3;

/// Who finds nobody that knows everything stops asking after that time: there is nothing to know.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether a node knows what was refused before it could hear of it.
#[derive(Default)]
pub(super) struct Learning {
    state: Mutex<State>,
    /// A refusal could not be taken: one line is enough.
    was_full: AtomicBool,
}

#[derive(Default)]
struct State {
    /// How often something may have been missed.
    round: u64,
    is_complete: bool,
    was_complete: bool,
    is_asking: bool,
    began: Option<Instant>,
}

impl Learning {
    /// Something may have been missed.
    pub(super) fn begin(&self) {
        let mut state = self.state.lock();
        state.round += 1;
        state.is_complete = false;
        state.began = None;
    }

    /// Whether others are to be asked now; if so, in which round.
    fn ask(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.is_complete || state.is_asking {
            return None;
        }
        let began = *state.began.get_or_insert(now);
        if now.duration_since(began) >= PATIENCE {
            state.is_complete = true;
            state.was_complete = true;
            return None;
        }
        state.is_asking = true;
        Some(state.round)
    }

    /// Others have been asked: whether one of those who answered knew everything. What was missed while they were is to
    /// be asked for again.
    fn asked(&self, round: u64, answered: Option<bool>) {
        let mut state = self.state.lock();
        state.is_asking = false;
        // Who knew everything once has missed little, which some others know.
        let is_enough = answered.is_some_and(|everything| everything || state.was_complete);
        if is_enough && round == state.round {
            state.is_complete = true;
            state.was_complete = true;
        }
    }

    fn is_partial(&self) -> bool {
        !self.state.lock().is_complete
    }
}

impl Node {
    /// Tells the other nodes of a decision.
    pub(in crate::node) async fn tell_refusal(&self, refusal: Refusal) -> Result<(), ApiError> {
        let piece = Refusals {
            refusals: vec![refusal],
            ..Refusals::default()
        };
        let notice = message::Notification {
            op: op::REFUSALS.to_owned(),
            data: piece.encode(),
        };
        self.order_others(Control::Notification(notice)).await
    }

    /// Takes what another node has decided, and answers what that was; `None` if it cannot be understood.
    pub(super) fn hear_refusals(&self, cluster: &Cluster, data: Bytes) -> Option<Refusals> {
        let Some(piece) = Refusals::decode(data) else {
            tracing::warn!("malformed refusals of another node ignored");
            return None;
        };
        for refusal in &piece.refusals {
            if let Err(error) = self.take_refusal(refusal)
                && !cluster.learning.was_full.swap(true, Ordering::Relaxed)
            {
                tracing::error!(%error, "what other nodes refuse is not all refused here");
            }
        }
        Some(piece)
    }

    /// Asks other nodes of ours for what may have been missed.
    pub(super) fn learn_refusals(&self, cluster: &Cluster) {
        let Some(node) = self.me.upgrade() else { return };
        if cluster.ready().is_err() {
            return;
        }
        let Some(round) = cluster.learning.ask(Instant::now()) else {
            return;
        };
        let mut others = cluster.peers.lock().ours();
        others.shuffle(&mut rand::rng());
        tokio::spawn(async move {
            let Some(cluster) = &node.cluster else { return };
            let mut answered = None;
            for other in others.iter().take(ASKED) {
                answered = node.learn_from(cluster, other).await.or(answered);
                if answered == Some(true) {
                    break;
                }
            }
            cluster.learning.asked(round, answered);
        });
    }

    /// Whether that node knew everything; `None` if it did not say all of it.
    async fn learn_from(&self, cluster: &Cluster, other: &str) -> Option<bool> {
        let mut place = Place::default();
        loop {
            let nodes = vec![other.to_owned()];
            let asking = self.ask(cluster, nodes, Some(other), op::REFUSALS, place.encode());
            let answer = tokio::time::timeout(ANSWER, asking).await.ok()?.ok()?.pop()?;
            if answer.code != code::OK {
                return None;
            }
            let piece = self.hear_refusals(cluster, answer.data)?;
            match piece.next {
                None => return Some(!piece.is_partial),
                // However wrong an answer is, there is an end.
                Some(next) if !next.is_after(&place) => return None,
                Some(next) => place = next,
            }
        }
    }

    /// Answers another node that asks what is refused.
    pub(super) fn answer_refusals(&self, cluster: &Cluster, data: Bytes) -> (u32, Bytes) {
        let Some(place) = Place::decode(data) else {
            return (code::BAD_REQUEST, Bytes::new());
        };
        let is_partial = cluster.learning.is_partial();
        let (refusals, next) = self.revocations().page(&place, PIECE, Self::now().unix());
        let piece = Refusals {
            refusals,
            next,
            is_partial,
        };
        (code::OK, piece.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks once, is answered so, and knows everything then or not.
    fn is_complete_after(learning: &Learning, answered: Option<bool>) -> bool {
        let round = learning.ask(Instant::now()).expect("something may be missing");
        learning.asked(round, answered);
        !learning.is_partial()
    }

    #[test]
    fn a_newcomer_asks_until_somebody_knew_everything() {
        let learning = Learning::default();
        assert!(!is_complete_after(&learning, None));
        assert!(!is_complete_after(&learning, Some(false)));
        assert!(is_complete_after(&learning, Some(true)));
        assert_eq!(learning.ask(Instant::now()), None);
    }

    #[test]
    fn who_was_cut_off_asks_once() {
        let learning = Learning::default();
        assert!(is_complete_after(&learning, Some(true)));
        learning.begin();
        assert!(!is_complete_after(&learning, None), "nobody was there");
        assert!(is_complete_after(&learning, Some(false)));
    }

    #[test]
    fn what_is_missed_while_others_are_asked_is_asked_for_again() {
        let learning = Learning::default();
        let round = learning.ask(Instant::now()).expect("nothing is known");
        assert_eq!(learning.ask(Instant::now()), None, "others are being asked");
        learning.begin();
        assert_eq!(learning.ask(Instant::now()), None, "others are being asked");
        learning.asked(round, Some(true));
        assert!(is_complete_after(&learning, Some(true)));
    }

    #[test]
    fn asking_ends_when_nobody_knows_everything() {
        let learning = Learning::default();
        let now = Instant::now();
        assert!(!is_complete_after(&learning, Some(false)));
        assert_eq!(learning.ask(now + 2 * PATIENCE), None);
        assert!(!learning.is_partial());
        learning.begin();
        assert!(learning.ask(now + 2 * PATIENCE).is_some(), "patience begins anew");
    }
}
