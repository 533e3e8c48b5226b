//! The newest state of a watched session that was published or read. Does not know which messages are believed.

use crate::engine::{StateTag, Timestamp};

/// A state, or a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewestState {
    pub(super) tag: StateTag,
    pub(super) made: StateOrigin,
    /// It was read, so that subscribers were sent all that it shows.
    pub(super) is_read: bool,
    /// It is a deletion: another session of that id may follow.
    pub(super) is_end: bool,
}

/// When a state was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateOrigin {
    /// When it was made, as far as it says so.
    pub(super) changed_at: Timestamp,
    /// Until when it is kept if nothing follows, as far as that is known.
    pub(super) kept_until: Option<Timestamp>,
}
