//! A place in the search: the state, and what was done to get there beside the operations that are left. Does not know
//! where one can go from it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::super::model::State;
use super::super::operation::Instant;

#[derive(Clone)]
pub(super) struct Node {
    pub(super) state: State,
    /// How many of the states that were seen have been reached.
    pub(super) sighted: usize,
    /// Which operations of unknown outcome took effect, in their order.
    pub(super) used: Vec<u32>,
    /// How often the store may have gone back so far: how many of the rules' stretches are over.
    pub(super) losses: usize,
    /// How often it did.
    pub(super) returns: usize,
    /// How many changes it took with it.
    pub(super) lost: u64,
    /// The states before, the newest first.
    pub(super) past: Option<Arc<Past>>,
}

/// A state that was there.
pub(super) struct Past {
    pub(super) state: State,
    pub(super) before: Option<Arc<Past>>,
    /// No operation that made it, or one of those before, was asked later.
    pub(super) asked: Instant,
    /// Whether somebody was told of the change that replaced it.
    pub(super) is_acknowledged: bool,
    pub(super) hash: u64,
}

impl Node {
    pub(super) fn begin(state: State) -> Self {
        Self { state, sighted: 0, used: Vec::new(), losses: 0, returns: 0, lost: 0, past: None }
    }

    /// The same with one more operation of unknown outcome.
    pub(super) fn with_used(mut self, place: u32) -> Self {
        let at = self.used.partition_point(|&other| other < place);
        self.used.insert(at, place);
        self
    }

    /// Remembers the state, which a change that was asked for at `asked` replaces.
    pub(super) fn remember(&self, asked: Instant, is_acknowledged: bool) -> Option<Arc<Past>> {
        let mut hasher = DefaultHasher::new();
        (&self.state, self.past_hash(), is_acknowledged).hash(&mut hasher);
        let asked = self.past.as_ref().map_or(asked, |past| past.asked.max(asked));
        let (state, before) = (self.state.clone(), self.past.clone());
        Some(Arc::new(Past { state, before, asked, is_acknowledged, hash: hasher.finish() }))
    }

    pub(super) fn past_hash(&self) -> u64 {
        self.past.as_ref().map_or(0, |past| past.hash)
    }
}

/// A chain of a million states must not be dropped by recursion.
impl Drop for Past {
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(past) = next {
            next = Arc::into_inner(past).and_then(|mut past| past.before.take());
        }
    }
}
