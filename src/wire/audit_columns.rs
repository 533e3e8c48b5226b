//! The columns that an archive keeps of a change, of the state after it, and of its participants. Does not know the tables,
//! nor how a job is parsed.

use std::borrow::Cow;

use crate::engine::{GroupId, Millis, ParticipantId, Timestamp};

use super::audit_job::JobHeader;
use super::write::Write;

/// A change, and the state that it made or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow<'a> {
    /// What was changed.
    pub change: ChangeColumns<'a>,
    /// The state that it made or ended.
    pub state: StateColumns<'a>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeColumns<'a> {
    /// Its ids and its time.
    pub name: JobHeader,
    /// The kind's name.
    pub kind: &'a str,
    /// The participant whose clock it was about.
    pub participant: Option<ParticipantId>,
    /// Their group.
    pub group: Option<GroupId>,
    /// What their clock shows afterwards.
    pub time_remaining: Option<Millis>,
    /// How long their turn had been running.
    pub time_elapsed: Option<Millis>,
    /// Who asked for it.
    pub actor: Option<Cow<'a, str>>,
    /// Turns that were ended so far.
    pub cycles: u64,
    /// How many things happened at once.
    pub happened: usize,
    /// All that happened: a JSON object with one member, `events`.
    pub events: Vec<u8>,
    /// The state: a JSON object.
    pub state: &'a str,
}

/// A session's state, as far as there are columns for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateColumns<'a> {
    /// The mode's name.
    pub mode: &'a str,
    /// The status's name.
    pub status: Option<&'static str>,
    /// The same, when the session has ended.
    pub final_status: Option<&'static str>,
    /// Whose turn it is.
    pub active: Option<ParticipantId>,
    /// Since when it has been running without interruption.
    pub active_since: Option<Timestamp>,
    /// A turn's time.
    pub time_per_cycle: Option<Millis>,
    /// What a completed turn earns.
    pub increment: Millis,
    /// How far a clock may count.
    pub max_time: Option<Millis>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When the clock that runs flags, if time passes.
    pub deadline: Option<Timestamp>,
    /// The client's own: a JSON object.
    pub metadata: Option<&'a str>,
    /// The different time controls: a JSON array.
    pub time_controls: Option<&'a str>,
    /// In the order given.
    pub participants: Vec<ParticipantColumns>,
}

/// A participant in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantColumns {
    /// Unique within the session.
    pub id: ParticipantId,
    /// Place in the rotation.
    pub index: u64,
    /// The group.
    pub group: Option<GroupId>,
    /// The time given at creation.
    pub initial_time: Millis,
    /// Time spent in turns.
    pub used: Millis,
    /// Turns that were ended.
    pub cycles: u64,
    /// Whether the clock has flagged.
    pub has_expired: bool,
    /// When.
    pub expired_at: Option<Timestamp>,
}

impl ParticipantColumns {
    /// What there is no column for, as a JSON object.
    pub fn metadata(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(100);
        out.raw(r#"{"participant_index":"#);
        out.number(self.index);
        out.raw(r#","has_expired":"#);
        out.boolean(self.has_expired);
        if let Some(at) = self.expired_at {
            out.raw(r#","expired_at":"#);
            out.instant(at);
        }
        out.raw("}");
        out
    }
}
