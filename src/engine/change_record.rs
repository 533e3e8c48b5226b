//! What a change comes to in the record of a session's life: its kind, and whose clock it was about. Does not
//! know who keeps the record.

use super::event::Event;
use super::id::{GroupId, ParticipantId};
use super::session::Session;
use super::time::{Millis, Timestamp};

/// What kind of change it was: by the last thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It began to be.
    SessionCreated,
    /// The first turn began.
    SessionStarted,
    /// A turn was ended by a switch.
    CycleSwitched,
    /// The turn was interrupted.
    SessionPaused,
    /// The turn went on.
    SessionResumed,
    /// A clock ran out, and the session goes on.
    ParticipantExpired,
    /// A clock that had run out goes on.
    ParticipantRevived,
    /// A clock ran out, and the session ended.
    SessionExpired,
    /// It was completed.
    SessionCompleted,
    /// It was called off.
    SessionCancelled,
    /// Settings or metadata changed.
    SessionUpdated,
    /// It was deleted.
    SessionDeleted,
    /// It came back from the record.
    SessionRecovered,
}

impl ChangeKind {
    /// The kind's name in the record.
    pub const fn name(self) -> &'static str {
        match self {
            ChangeKind::SessionCreated => "session_created",
            ChangeKind::SessionStarted => "session_started",
            ChangeKind::CycleSwitched => "cycle_switched",
            ChangeKind::SessionPaused => "session_paused",
            ChangeKind::SessionResumed => "session_resumed",
            ChangeKind::ParticipantExpired => "participant_expired",
            ChangeKind::ParticipantRevived => "participant_revived",
            ChangeKind::SessionExpired => "session_expired",
            ChangeKind::SessionCompleted => "session_completed",
            ChangeKind::SessionCancelled => "session_cancelled",
            ChangeKind::SessionUpdated => "session_updated",
            ChangeKind::SessionDeleted => "session_deleted",
            ChangeKind::SessionRecovered => "session_recovered",
        }
    }
}

/// A change in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    /// What kind of change.
    pub kind: ChangeKind,
    /// When it was judged.
    pub at: Timestamp,
    /// Whose clock it was about.
    pub participant: Option<ParticipantId>,
    /// Their group.
    pub group: Option<GroupId>,
    /// What their clock shows afterwards.
    pub time_remaining: Option<Millis>,
    /// How long their turn had been running without interruption when the change ended or interrupted it.
    pub time_elapsed: Option<Millis>,
    /// Turns of all participants that were ended so far.
    pub cycles: u64,
    /// All that happened, in order.
    pub events: Vec<Event>,
}

impl ChangeRecord {
    /// Whether somebody's command did some of it, beside what time did.
    pub fn is_asked_for(&self) -> bool {
        self.events.iter().any(|event| match event {
            Event::Created
            | Event::Started { .. }
            | Event::Switched { .. }
            | Event::Paused
            | Event::Resumed
            | Event::ParticipantRevived { .. }
            | Event::Completed
            | Event::Cancelled
            | Event::Updated
            | Event::Deleted => true,
            Event::ParticipantExpired { .. }
            | Event::RoundsExpired { .. }
            | Event::SessionExpired { .. }
            | Event::Recovered => false,
        })
    }

    /// The change from `before`, if there was something, to `after` at `at`; `None` when nothing happened.
    pub fn of(before: Option<&Session>, events: Vec<Event>, after: &Session, at: Timestamp) -> Option<Self> {
        let last = events.last()?;
        let turn_of = |session: &Session| session.active().map(|active| active.id);
        let before_turn = before.and_then(turn_of);
        let expired = events.iter().rev().find_map(|event| {
            if let Event::ParticipantExpired { participant, .. } = event { Some(*participant) } else { None }
        });
        let (kind, participant, is_over) = match last {
            Event::Created => (ChangeKind::SessionCreated, None, false),
            Event::Started { to } => (ChangeKind::SessionStarted, Some(*to), false),
            Event::Switched { from, .. } => (ChangeKind::CycleSwitched, Some(*from), true),
            Event::Paused => (ChangeKind::SessionPaused, turn_of(after), true),
            Event::Resumed => (ChangeKind::SessionResumed, turn_of(after), false),
            Event::ParticipantExpired { participant, .. } => (ChangeKind::ParticipantExpired, Some(*participant), true),
            Event::RoundsExpired { .. } => (ChangeKind::ParticipantExpired, expired.or(before_turn), true),
            Event::ParticipantRevived { participant } => (ChangeKind::ParticipantRevived, Some(*participant), false),
            Event::SessionExpired { .. } => (ChangeKind::SessionExpired, expired.or(before_turn), true),
            Event::Completed => (ChangeKind::SessionCompleted, before_turn, true),
            Event::Cancelled => (ChangeKind::SessionCancelled, before_turn, true),
            Event::Updated => (ChangeKind::SessionUpdated, None, false),
            Event::Deleted => (ChangeKind::SessionDeleted, None, false),
            Event::Recovered => (ChangeKind::SessionRecovered, None, false),
        };
        let position = participant.and_then(|participant| after.position(participant));
        Some(Self {
            kind,
            at,
            participant,
            group: position.and_then(|position| after.participants[position].group),
            time_remaining: position.map(|position| after.shown_time(position)),
            time_elapsed: elapsed(before, &events, at).filter(|_| is_over),
            cycles: after.participants.iter().map(|participant| participant.cycles).sum(),
            events,
        })
    }
}

/// How long the last turn ran without interruption: until it flagged, or until `at`.
fn elapsed(before: Option<&Session>, events: &[Event], at: Timestamp) -> Option<Millis> {
    let mut since = before?.cycle_started_at();
    let mut flagged = None;
    for event in events {
        match event {
            Event::ParticipantExpired { at, .. } => {
                flagged = since.map(|since| at.since(since));
                since = Some(*at);
            }
            Event::RoundsExpired { until, .. } => since = Some(*until),
            Event::SessionExpired { .. } if flagged.is_some() => {}
            Event::Created
            | Event::Started { .. }
            | Event::Switched { .. }
            | Event::Paused
            | Event::Resumed
            | Event::ParticipantRevived { .. }
            | Event::SessionExpired { .. }
            | Event::Completed
            | Event::Cancelled
            | Event::Updated
            | Event::Deleted
            | Event::Recovered => flagged = None,
        }
    }
    flagged.or(since.map(|since| at.since(since)))
}
