//! The connections of a shard, by the small numbers that the endpoint gives them.

use quinn_proto::ConnectionHandle;

/// One slot for each number: looking one up, as every datagram does, hashes nothing.
pub(super) struct Table<C> {
    slots: Vec<Option<C>>,
    count: usize,
}

impl<C> Default for Table<C> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            count: 0,
        }
    }
}

impl<C> Table<C> {
    pub(super) fn insert(&mut self, ConnectionHandle(number): ConnectionHandle, connection: C) {
        if self.slots.len() <= number {
            self.slots.resize_with(number + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(number)
            && slot.replace(connection).is_none()
        {
            self.count += 1;
        }
    }

    pub(super) fn get(&self, handle: ConnectionHandle) -> Option<&C> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_gives_room_back() {
        let mut table = Table::default();
        for number in 0..1000 {
            table.insert(ConnectionHandle(number), number);
        }
        table.insert(ConnectionHandle(3), 33);
        assert_eq!((table.len(), table.get(ConnectionHandle(3))), (1000, Some(&33)));
        for number in (0..1000).filter(|number| *number != 3) {
            table.remove(ConnectionHandle(number));
            table.remove(ConnectionHandle(number));
        }
        assert_eq!((table.len(), table.slots.len()), (1, 4));
        assert!(table.slots.capacity() < 100, "{}", table.slots.capacity());
        assert_eq!(table.get(ConnectionHandle(999)), None);
        table.remove(ConnectionHandle(3));
        assert!(table.is_empty());
    }
}
