//! What clients of an instance are told: the updates of each session in order, checked as they come. Does not know who is
//! told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use synckairos::engine::{SessionId, StateTag};
use synckairos::store::{Listener, Update};

/// Updates that are told of in words.
const STORY: usize = 12;

/// Hears all updates of an instance.
#[derive(Default)]
pub struct Watcher(Mutex<Heard>);

/// What was heard.
#[derive(Default)]
struct Heard {
    newest: BTreeMap<SessionId, Newest>,
    wrong: Vec<(SessionId, String)>,
    /// All updates, in words.
    story: Vec<String>,
}

/// What was heard of a session last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// Its state.
    pub tag: StateTag,
    /// It was deleted.
    pub is_deleted: bool,
    /// Updates are lost since.
    pub is_interrupted: bool,
    /// A subscription began with it: the update to it may still come.
    pub is_first: bool,
}

impl Watcher {
    /// A subscription has begun with this state.
    pub fn begin(&self, id: SessionId, tag: Option<StateTag>) {
        let mut heard = self.heard();
        let newest = Newest { tag: tag.unwrap_or_default(), is_first: true, ..Newest::default() };
        heard.story.push(format!("{id} begins {}.{}", newest.tag.epoch, newest.tag.version));
        // Updates of a state that is newer may have come before.
        let known = heard.newest.entry(id).or_insert(newest);
        if known.is_interrupted || known.tag < newest.tag {
            *known = newest;
        }
    }

    /// What was heard of a session last.
    pub fn newest(&self, id: SessionId) -> Option<Newest> {
        self.heard().newest.get(&id).copied()
    }

    /// What was heard of a session last, in words.
    pub fn story(&self, id: SessionId) -> String {
        let heard = self.heard();
        let id = id.to_string();
        let own: Vec<_> =
            heard.story.iter().filter(|told| told.starts_with(&id)).map(|told| &told[id.len()..]).collect();
        own.iter().rev().take(STORY).rev().copied().collect::<Vec<_>>().join(";")
    }

    /// What should not have been heard.
    pub fn wrong(&self) -> Vec<(SessionId, String)> {
        self.heard().wrong.clone()
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Watcher {
    fn update(&self, id: SessionId, update: &Update) {
        let mut heard = self.heard();
        let before = heard.newest.get(&id).copied().unwrap_or_default();
        let (next, may_go_back) = match update {
            Update::State { tag, .. } => (Newest { tag: *tag, ..Newest::default() }, false),
            Update::Resync { tag, .. } => (Newest { tag: *tag, ..Newest::default() }, true),
            Update::Deleted { tag, .. } => (Newest { tag: *tag, is_deleted: true, ..Newest::default() }, true),
            Update::Interrupted => (Newest { is_interrupted: true, ..before }, true),
            Update::Notice(_) => return,
        };
        let is_known = next.tag < before.tag || next.tag == before.tag && !before.is_first;
        if !may_go_back && !before.is_interrupted && is_known {
            heard.wrong.push((id, format!("an update to {:?} after one to {:?}", next.tag, before.tag)));
        }
        let what = match update {
            Update::State { .. } => "state",
            Update::Resync { .. } => "resync",
            Update::Deleted { .. } => "deleted",
            Update::Interrupted | Update::Notice(_) => "interrupted",
        };
        heard.story.push(format!("{id} {what} {}.{}", next.tag.epoch, next.tag.version));
        heard.newest.insert(id, next);
    }
}
