//! Questions to all nodes, and the answers that are still to come.

use std::collections::BTreeSet;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Questions that may be open at once.
const MAX_OPEN: usize = 1000;

/// What one node has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The node.
    pub uid: String,
    /// How it went, see [`code`](super::code).
    pub code: u32,
    /// What it said.
    pub data: Bytes,
}

/// The open questions of a node. Answers that come late, twice, or from somebody who was not asked change nothing.
#[derive(Debug, Default)]
pub struct Surveys {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    /// Whose answers are to come.
    missing: BTreeSet<String>,
    answers: Vec<Answer>,
    done: Option<oneshot::Sender<Vec<Answer>>>,
}

impl Open {
    fn finish_if_complete(&mut self) -> bool {
        if !self.missing.is_empty() {
            return false;
        }
        if let Some(done) = self.done.take() {
            // Nobody may be waiting any more.
            let _ = done.send(std::mem::take(&mut self.answers));
        }
        true
    }
}

/// A question that was asked. It is closed when this is dropped.
#[derive(Debug)]
pub struct Asked<'a> {
    surveys: &'a Surveys,
    /// By which answers refer to it.
    pub id: u64,
    answers: oneshot::Receiver<Vec<Answer>>,
}

impl Surveys {
    /// Opens a question to some nodes; `None` if too many are open.
    pub fn open(&self, nodes: impl IntoIterator<Item = String>) -> Option<Asked<'_>> {
        let (done, answers) = oneshot::channel();
        let mut open = Open {
            missing: nodes.into_iter().collect(),
            answers: Vec::new(),
            done: Some(done),
        };
        let mut state = self.state.lock();
        if state.open.len() >= MAX_OPEN {
            return None;
        }
        state.last += 1;
        let id = state.last;
        if !open.finish_if_complete() {
            state.open.insert(id, open);
        }
        drop(state);
        Some(Asked {
            surveys: self,
            id,
            answers,
        })
    }

    /// An answer has come.
    pub fn answered(&self, id: u64, answer: Answer) {
        let mut state = self.state.lock();
        let Some(open) = state.open.get_mut(&id) else {
            return;
        };
        if !open.missing.remove(&answer.uid) {
            return;
        }
        open.answers.push(answer);
        if open.finish_if_complete() {
            state.open.remove(&id);
        }
    }

    /// A node has left: its answers will not come.
    pub fn left(&self, uid: &str) {
        self.state.lock().open.retain(|_, open| {
            open.missing.remove(uid);
            !open.finish_if_complete()
        });
    }
}

impl Asked<'_> {
    /// Waits for all answers.
    ///
    /// # Cancel safety
    /// Answers that have come stay.
    pub async fn answers(&mut self) -> Vec<Answer> {
        (&mut self.answers).await.unwrap_or_default()
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.surveys.state.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn answer(uid: &str) -> Answer {
        Answer {
            uid: uid.to_owned(),
            code: 0,
            data: Bytes::from(uid.to_owned()),
        }
    }

    fn nodes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_question_waits_for_each_once() {
        let surveys = Surveys::default();
        let mut asked = surveys.open(nodes(&["a", "b", "c"])).expect("room");
        let id = asked.id;
        for uid in ["a", "a", "x"] {
            surveys.answered(id, answer(uid));
        }
        surveys.answered(id + 1, answer("b"));
        assert_eq!(asked.answers().now_or_never(), None);
        surveys.answered(id, answer("c"));
        surveys.left("b");
        assert_eq!(
            asked.answers().now_or_never(),
            Some(vec![answer("a"), answer("c")])
        );
        surveys.answered(id, answer("b"));
        assert!(surveys.state.lock().open.is_empty());
    }

    #[test]
    fn nobody_to_ask_is_an_answer() {
        let surveys = Surveys::default();
        let mut asked = surveys.open(Vec::new()).expect("room");
        assert_eq!(asked.answers().now_or_never(), Some(Vec::new()));
    }

    #[test]
    fn questions_are_bounded_and_closed() {
        let surveys = Surveys::default();
        let asked: Vec<_> = (0..MAX_OPEN)
            .map(|_| surveys.open(nodes(&["a"])).expect("room"))
            .collect();
        assert!(surveys.open(nodes(&["a"])).is_none());
        let first = asked[0].id;
        drop(asked);
        surveys.answered(first, answer("a"));
        assert!(surveys.open(nodes(&["a"])).is_some());
    }
}
