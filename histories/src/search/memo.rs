//! What the search has looked at: the same operations taken and the same state come to the same. Whoever gets there with
//! fewer operations of unknown outcome can do all that others can.

use std::collections::HashMap;

use super::super::model::State;
use super::node::Node;

#[derive(PartialEq, Eq, Hash)]
struct Key {
    taken: u128,
    state: State,
    sighted: usize,
    losses: usize,
    past: u64,
}

#[derive(Default)]
pub(super) struct Memo(HashMap<Key, Vec<Vec<u32>>>);

impl Memo {
    /// Takes a place down; returns whether something could come of it that did not of another.
    pub(super) fn insert(&mut self, taken: u128, node: &Node) -> bool {
        let Node { state, sighted, used, losses, .. } = node;
        let key = Key { taken, state: state.clone(), sighted: *sighted, losses: *losses, past: node.past_hash() };
        let others = self.0.entry(key).or_default();
        if others.iter().any(|other| is_subset(other, used)) {
            return false;
        }
        others.push(used.clone());
        true
    }
}

fn is_subset(small: &[u32], large: &[u32]) -> bool {
    let mut large = large.iter();
    small.len() <= large.len() && small.iter().all(|one| large.any(|other| one == other))
}
