//! Sessions that echo what they receive, and record what becomes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tidegate_transports::{Acceptor, Close, EndCause, Frame, Handshake, InputFault, Outbox, Pushed, Session};

#[derive(Default)]
pub struct FakeAcceptor {
    pub forbids_origin: AtomicBool,
    pub is_full: AtomicBool,
    pub sessions: Mutex<Vec<Arc<Record>>>,
}

/// What a test knows of a session.
pub struct Record {
    pub handshake: Handshake,
    pub outbox: Arc<Outbox>,
    pub received: Mutex<Vec<Vec<u8>>>,
    pub end: Mutex<Option<EndCause>>,
}

impl FakeAcceptor {
    pub fn record(&self, index: usize) -> Option<Arc<Record>> {
        self.sessions.lock().get(index).cloned()
    }

    pub fn opened(&self) -> usize {
        self.sessions.lock().len()
    }

    /// How session `index` ended, if it did.
    pub fn end(&self, index: usize) -> Option<EndCause> {
        self.record(index).and_then(|record| record.end.lock().clone())
    }
}

impl Acceptor for FakeAcceptor {
    type Session = EchoSession;

    fn origin_allowed(&self, headers: &HeaderMap) -> bool {
        !(self.forbids_origin.load(Ordering::Relaxed) && headers.contains_key("origin"))
    }

    fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }

    fn open(&self, handshake: Handshake, outbox: Arc<Outbox>) -> EchoSession {
        let record = Arc::new(Record {
            handshake,
            outbox,
            received: Mutex::default(),
            end: Mutex::default(),
        });
        self.sessions.lock().push(record.clone());
        EchoSession { record }
    }
}

/// Answers each frame with itself, `close` with a close of its own, `flood` with a very large frame.
pub struct EchoSession {
    record: Arc<Record>,
}

impl Session for EchoSession {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn receive(&mut self, frame: &[u8]) {
        self.record.received.lock().push(frame.to_vec());
        let outbox = &self.record.outbox;
        match frame {
            b"close" => {
                let _ = outbox.push(Frame::new(Bytes::from_static(b"bye")));
                outbox.close(Close::new(3503, "force disconnect"));
            }
            b"flood" => {
                let _ = outbox.push(Frame::new(Bytes::from(vec![b'x'; 8 << 20])));
            }
            _ => assert_eq!(
                outbox.push(Frame::new(Bytes::copy_from_slice(frame))),
                Pushed::Queued
            ),
        }
    }

    fn reject(&mut self, fault: InputFault) {
        let text = format!("{fault:?}");
        let _ = self.record.outbox.push(Frame::new(Bytes::from(text)));
        self.record.outbox.close(Close::new(3501, "bad request"));
    }

    fn end(&mut self, cause: EndCause) {
        let before = self.record.end.lock().replace(cause);
        assert_eq!(before, None, "ended twice");
    }
}
