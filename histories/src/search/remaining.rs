//! The operations that have no place in the order yet: a list from which they are taken and put back, and which of them
//! could come next. Does not know what they are.

use super::super::operation::{Instant, Operation};

/// A doubly linked list over the places of operations, by when they were asked; the last place is the head.
pub(super) struct Remaining<'h> {
    operations: &'h [&'h Operation],
    next: Vec<usize>,
    previous: Vec<usize>,
    hash: u128,
    len: usize,
}

impl<'h> Remaining<'h> {
    pub(super) fn of(operations: &'h [&'h Operation]) -> Self {
        let (len, size) = (operations.len(), operations.len() + 1);
        let next = (0..size).map(|place| (place + 1) % size).collect();
        let previous = (0..size).map(|place| (place + len) % size).collect();
        Self { operations, next, previous, hash: 0, len }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Names the set of those that were taken.
    pub(super) fn hash(&self) -> u128 {
        self.hash
    }

    /// Those that no other one must precede, when nothing may come after `until`; and when the first of them was answered.
    pub(super) fn candidates(&self, until: Instant) -> (Vec<usize>, Instant) {
        let (mut found, mut until) = (Vec::new(), until);
        let head = self.operations.len();
        let mut place = self.next[head];
        while place != head && self.operations[place].invoked <= until {
            until = until.min(self.operations[place].returned);
            found.push(place);
            place = self.next[place];
        }
        (found, until)
    }

    pub(super) fn remove(&mut self, place: usize) {
        let (next, previous) = (self.next[place], self.previous[place]);
        (self.next[previous], self.previous[next]) = (next, previous);
        (self.hash, self.len) = (self.hash ^ name(place), self.len - 1);
    }

    /// Puts back what was taken last.
    pub(super) fn restore(&mut self, place: usize) {
        let (next, previous) = (self.next[place], self.previous[place]);
        (self.next[previous], self.previous[next]) = (place, place);
        (self.hash, self.len) = (self.hash ^ name(place), self.len + 1);
    }
}

/// A number that looks random, so that sets are told apart by what these are added up to, bit by bit.
fn name(place: usize) -> u128 {
    let half = |salt: u64| {
        let mut bits = (place as u64).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(bits ^ (bits >> 31))
    };
    half(1) << 64 | half(0x5851_f42d_4c95_7f2d)
}
