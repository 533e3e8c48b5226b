//! Which node answers for which hash slot; a single master answers for all of them. Does not know how that is found
//! out.

use std::ops::RangeInclusive;

use crate::redis::endpoints::node::Node;

/// Hash slots of a Redis Cluster (specification, "Key distribution model").
pub(super) const SLOTS: u16 = 16_384;

/// The topology as one Sentinel or node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct TopologyView {
    /// A newer view has a higher epoch.
    pub(in crate::redis) epoch: u64,
    pub(super) slots: SlotMap,
}

/// Ranges of hash slots, each with the node that answers for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct SlotMap(pub(in crate::redis) Vec<(RangeInclusive<u16>, Node)>);

impl SlotMap {
    /// One node answers for every slot.
    pub(in crate::redis) fn single(node: Node) -> Self {
        Self(vec![(0..=SLOTS - 1, node)])
    }

    /// The node that answers for a slot, if one does.
    pub(in crate::redis) fn node(&self, slot: u16) -> Option<&Node> {
        self.0.iter().find(|(slots, _)| slots.contains(&slot)).map(|(_, node)| node)
    }

    /// Another node answers for one slot from now on.
    pub(super) fn reassign(&mut self, slot: u16, node: Node) {
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

    /// Whether nothing is known.
    pub(in crate::redis) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every node, each once.
    pub(in crate::redis) fn nodes(&self) -> Vec<&Node> {
        let mut nodes = Vec::new();
        for (_, node) in &self.0 {
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        nodes
    }
}

/// The slot of a key: CRC-16/XMODEM of the hash tag between its first braces, or of all of it (specification, "Hash
/// tags").
pub(in crate::redis) fn key_slot(key: &[u8]) -> u16 {
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
    use super::Node;
    use super::SLOTS;
    use super::SlotMap;
    use super::key_slot;

    fn node(name: &str) -> Node {
        Node { host: name.to_owned(), port: 1 }
    }

    #[test]
    fn a_slot_is_that_of_the_tag() {
        // From the specification, and `redis-cli cluster keyslot`.
        assert_eq!(key_slot(b"123456789"), 0x31c3);
        assert_eq!(key_slot(b"foo"), 12_182);
        assert_eq!(key_slot(b"{user1000}.following"), key_slot(b"{user1000}.followers"));
        assert_eq!(key_slot(b"foo{{bar}}zap"), key_slot(b"{bar"));
        assert_eq!(key_slot(b"foo{}{bar}"), key_slot(b"foo{}{bar}"));
        assert_ne!(key_slot(b"foo{}{bar}"), key_slot(b"bar"));
    }

    #[test]
    fn a_slot_moves_alone() {
        let mut map = SlotMap(vec![(0..=99, node("a")), (100..=SLOTS - 1, node("b"))]);
        for slot in [0, 50, 99, 100, SLOTS - 1] {
            map.reassign(slot, node("c"));
        }
        for slot in 0..SLOTS {
            let expected = match slot {
                0 | 50 | 99 | 100 => "c",
                _ if slot == SLOTS - 1 => "c",
                1..=98 => "a",
                _ => "b",
            };
            assert_eq!(map.node(slot), Some(&node(expected)), "{slot}");
        }
        assert_eq!(map.nodes().len(), 3);
    }

    #[test]
    fn nobody_answers_for_what_is_not_covered() {
        assert_eq!(SlotMap::default().node(7), None);
        assert_eq!(SlotMap::single(node("a")).node(SLOTS - 1), Some(&node("a")));
    }
}
