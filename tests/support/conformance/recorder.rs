//! A listener that records what it receives.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use synckairos::engine::{SessionId, StateTag};
use synckairos::store::{Countdown, Listener, Update};

use crate::wait;

/// What was heard of each session, in order.
#[derive(Default)]
pub struct Recorder(Mutex<HashMap<SessionId, Vec<Heard>>>);

/// An update that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    State(StateTag, Bytes, Countdown),
    Notice(Bytes),
    Deleted(StateTag, Bytes),
}

impl Heard {
    /// What the state or the deletion is called.
    fn tag(&self) -> Option<StateTag> {
        match self {
            Heard::State(tag, ..) | Heard::Deleted(tag, _) => Some(*tag),
            Heard::Notice(_) => None,
        }
    }
}

impl Listener for Recorder {
    fn update(&self, id: SessionId, update: &Update) {
        let heard = match update.clone() {
            Update::State { tag, frame, countdown } | Update::Resync { tag, frame, countdown } => {
                Heard::State(tag, frame, countdown)
            }
            Update::Notice(notice) => Heard::Notice(notice),
            Update::Deleted { tag, frame } => Heard::Deleted(tag, frame),
            Update::Interrupted => panic!("updates are not interrupted here"),
        };
        self.0.lock().entry(id).or_default().push(heard);
    }
}

impl Recorder {
    /// All that was heard of a session.
    pub fn of(&self, id: SessionId) -> Vec<Heard> {
        self.0.lock().get(&id).cloned().unwrap_or_default()
    }

    /// The tags that were heard of a session.
    pub fn tags(&self, id: SessionId) -> Vec<StateTag> {
        self.of(id).iter().filter_map(Heard::tag).collect()
    }

    /// The messages beside states that were heard of a session.
    pub fn notices(&self, id: SessionId) -> Vec<String> {
        let text = |heard: &Heard| if let Heard::Notice(message) = heard { Some(text(message)) } else { None };
        self.of(id).iter().filter_map(text).collect()
    }

    /// The messages that said that a session is gone.
    pub fn deletions(&self, id: SessionId) -> Vec<String> {
        let text = |heard: &Heard| if let Heard::Deleted(_, message) = heard { Some(text(message)) } else { None };
        self.of(id).iter().filter_map(text).collect()
    }

    /// Waits until a session's latest tag is `tag`.
    pub async fn until(&self, id: SessionId, tag: StateTag) {
        wait::until(&format!("{tag:?} is heard"), async || self.tags(id).last() == Some(&tag)).await;
    }

    /// What must hold of all that was ever heard: the states of a session come in the order of their tags.
    pub fn check(&self) {
        for (id, heard) in self.0.lock().iter() {
            let tags: Vec<_> = heard.iter().filter_map(Heard::tag).collect();
            assert!(tags.is_sorted_by(|earlier, later| earlier < later), "{id} was heard out of order: {tags:?}");
        }
    }
}

fn text(message: &Bytes) -> String {
    String::from_utf8(message.to_vec()).expect("messages are text")
}
