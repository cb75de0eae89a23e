//! The frames of one outbox.

use std::collections::VecDeque;

use super::Frame;

/// First in, first out. The oldest frame is kept in place: at a calm pace an outbox never holds more than one,
/// and neither allocates nor touches memory elsewhere.
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
        Some(frame)
    }

    /// Whether an empty queue still holds memory.
    pub(super) fn has_room(&self) -> bool {
        self.rest.capacity() > 0
    }

    /// Gives the memory of an empty queue back.
    pub(super) fn shrink(&mut self) {
        if self.rest.is_empty() && self.has_room() {
            self.rest = VecDeque::new();
        }
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
            assert!(queue.has_room());
            queue.shrink();
            assert!(!queue.has_room());
        }
    }
}
