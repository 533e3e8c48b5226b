//! Who answers for which hash slot, as far as is known. With one master it answers for all of them. Does not know
//! how that is found out.

use std::fmt;
use std::ops::RangeInclusive;

/// Hash slots of a Redis Cluster (specification, "Key distribution model").
pub(super) const SLOTS: u16 = 16_384;

/// A server, as others call it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Who answers for which slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table(pub(super) Vec<(RangeInclusive<u16>, Node)>);

impl Table {
    /// One server answers for everything.
    pub(super) fn whole(node: Node) -> Self {
        Self(vec![(0..=SLOTS - 1, node)])
    }

    /// Who answers for a slot, if anybody does.
    pub(super) fn node(&self, slot: u16) -> Option<&Node> {
        self.0.iter().find(|(slots, _)| slots.contains(&slot)).map(|(_, node)| node)
    }

    /// Somebody else answers for one slot.
    pub(super) fn moved(&mut self, slot: u16, node: Node) {
        let mut ranges = vec![(slot..=slot, node)];
        for (slots, node) in std::mem::take(&mut self.0) {
            let (first, last) = slots.into_inner();
            if first < slot && first <= last {
                ranges.push((first..=last.min(slot - 1), node.clone()));
            }
            if last > slot {
                ranges.push((first.max(slot + 1)..=last, node));
            }
        }
        self.0 = ranges;
    }

    /// Every server, each once.
    pub(super) fn nodes(&self) -> Vec<&Node> {
        let mut nodes = Vec::new();
        for (_, node) in &self.0 {
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        nodes
    }
}

/// The slot of a key: CRC-16/XMODEM of what stands between its first braces, or of all of it (specification, "Hash
/// tags").
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let length = rest.iter().position(|byte| *byte == b'}').filter(|length| *length > 0)?;
        Some(&rest[..length])
    });
    let crc = tag.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::{Node, SLOTS, Table, slot};

    fn node(name: &str) -> Node {
        Node { host: name.to_owned(), port: 1 }
    }

    #[test]
    fn a_slot_is_that_of_the_tag() {
        // From the specification, and `redis-cli cluster keyslot`.
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{}{bar}"), slot(b"foo{}{bar}"));
        assert_ne!(slot(b"foo{}{bar}"), slot(b"bar"));
    }

    #[test]
    fn a_slot_moves_alone() {
        let mut table = Table(vec![(0..=99, node("a")), (100..=SLOTS - 1, node("b"))]);
        for slot in [0, 50, 99, 100, SLOTS - 1] {
            table.moved(slot, node("c"));
        }
        for slot in 0..SLOTS {
            let expected = match slot {
                0 | 50 | 99 | 100 => "c",
                _ if slot == SLOTS - 1 => "c",
                1..=98 => "a",
                _ => "b",
            };
            assert_eq!(table.node(slot), Some(&node(expected)), "{slot}");
        }
        assert_eq!(table.nodes().len(), 3);
    }

    #[test]
    fn nobody_answers_for_what_is_not_covered() {
        assert_eq!(Table::default().node(7), None);
        assert_eq!(Table::whole(node("a")).node(SLOTS - 1), Some(&node("a")));
    }
}
