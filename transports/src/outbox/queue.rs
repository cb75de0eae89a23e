//! The frames of one outbox.

use std::collections::VecDeque;

use super::Frame;

/// First in, first out. The oldest frame is kept in place: at a calm pace an outbox never holds more than one,
/// and neither allocates nor touches memory elsewhere. An empty queue holds nothing.
#[derive(Debug, Default)]
pub(super) struct FrameQueue {
    first: Option<Frame>,
    rest: VecDeque<Frame>,
}

impl FrameQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn push(&mut self, frame: Frame) {
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.push_back(frame);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Frame> {
        let frame = self.first.take()?;
        self.first = self.rest.pop_front();
        if self.first.is_none() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn order_is_kept_and_nothing_stays() {
        let mut queue = FrameQueue::default();
        for _ in 0..2 {
            for byte in 0..5u8 {
                queue.push(Frame::new(Bytes::copy_from_slice(&[byte])));
            }
            for byte in 0..5u8 {
                assert!(!queue.is_empty());
                assert_eq!(queue.pop().unwrap().payload()[..], [byte]);
            }
            assert!(queue.is_empty() && queue.pop().is_none());
            assert_eq!(queue.rest.capacity(), 0);
        }
    }
}
