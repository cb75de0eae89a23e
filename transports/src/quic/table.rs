//! The connections of a shard, by the small numbers that the endpoint gives them.

use std::sync::Arc;

use quinn_proto::ConnectionHandle;

use super::connection::Inner;

/// One slot for each number: looking one up, as every datagram does, hashes nothing.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Option<Arc<Inner>>>,
    count: usize,
}

impl Table {
    pub(super) fn insert(&mut self, connection: Arc<Inner>) {
        let ConnectionHandle(number) = connection.handle;
        if self.slots.len() <= number {
            self.slots.resize(number + 1, None);
        }
        if let Some(slot) = self.slots.get_mut(number)
            && slot.replace(connection).is_none()
        {
            self.count += 1;
        }
    }

    pub(super) fn get(&self, handle: ConnectionHandle) -> Option<&Arc<Inner>> {
        self.slots.get(handle.0)?.as_ref()
    }

    pub(super) fn remove(&mut self, handle: ConnectionHandle) {
        let removed = self.slots.get_mut(handle.0).and_then(Option::take);
        if removed.is_none() {
            return;
        }
        self.count -= 1;
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}
