//! A session: its participants, its clocks, and the questions that need no judgement. Does not know
//! how it changes; that is `settle` and `apply`.

use std::sync::Arc;

use super::id::{GroupId, ParticipantId, SessionId};
use super::session_controls::SessionControls;
use super::time::{Millis, Timestamp};

/// Whose clock runs during a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Each participant's own, as in chess.
    PerParticipant,
    /// The turn's: every turn starts with a full one.
    PerCycle,
    /// The group's, shared by its members.
    PerGroup,
    /// One for all.
    Global,
    /// Each participant's own, counting up.
    CountUp,
}

impl Mode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [Mode; 5] = [Mode::PerParticipant, Mode::PerCycle, Mode::PerGroup, Mode::Global, Mode::CountUp];

    /// The mode's name to clients.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::PerParticipant => "per_participant",
            Mode::PerCycle => "per_cycle",
            Mode::PerGroup => "per_group",
            Mode::Global => "global",
            Mode::CountUp => "count_up",
        }
    }
}

/// A session's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Created, not started.
    Pending,
    /// A clock runs (or, after a flag under [`OnTimeout::Notify`], shows zero during a turn).
    Running,
    /// A turn is interrupted.
    Paused,
    /// Ended because time ran out: by a flag, or by a switch when no participant has time left.
    Expired,
    /// Ended by a command.
    Completed,
    /// Ended by a command that calls it off.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 6] =
        [Status::Pending, Status::Running, Status::Paused, Status::Expired, Status::Completed, Status::Cancelled];

    /// The status's name to clients.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Expired => "expired",
            Status::Completed => "completed",
            Status::Cancelled => "cancelled",
        }
    }

    /// Whether nothing but metadata changes any more.
    pub const fn is_final(self) -> bool {
        match self {
            Status::Pending | Status::Running | Status::Paused => false,
            Status::Expired | Status::Completed | Status::Cancelled => true,
        }
    }
}

/// What a flag does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnTimeout {
    /// The session expires.
    #[default]
    Expire,
    /// The next participant with time left goes on.
    Advance,
    /// The flag is recorded and the turn stays until a switch.
    Notify,
}

impl OnTimeout {
    /// Every choice, in the order of the documentation.
    pub const ALL: [OnTimeout; 3] = [OnTimeout::Expire, OnTimeout::Advance, OnTimeout::Notify];

    /// The choice's name to clients.
    pub const fn name(self) -> &'static str {
        match self {
            OnTimeout::Expire => "expire",
            OnTimeout::Advance => "advance",
            OnTimeout::Notify => "notify",
        }
    }
}

/// Somebody whose turn it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Unique within the session.
    pub id: ParticipantId,
    /// Place in the rotation; ties go by the order given.
    pub index: u64,
    /// The group, when one was given.
    pub group: Option<GroupId>,
    /// The time given at creation.
    pub initial_time: Millis,
    /// The clock that runs during this participant's turns: an index into [`Session::clocks`].
    pub clock: usize,
    /// Time spent in turns; only grows.
    pub used: Millis,
    /// Turns ended by a switch or a flag.
    pub cycles: u64,
    /// Whether the clock that this participant runs has flagged; in [`Mode::PerCycle`], whether the
    /// participant's last turn did.
    pub has_expired: bool,
    /// The deadline at which a turn of this participant flagged.
    pub expired_at: Option<Timestamp>,
}

/// A group that was named at creation, in [`Mode::PerGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique within the session.
    pub id: GroupId,
    /// The budget given at creation.
    pub total_time: Millis,
    /// The members' clock: an index into [`Session::clocks`].
    pub clock: usize,
}

/// The turn in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose turn it is: an index into [`Session::participants`].
    pub participant: usize,
    /// Since when it has been running without interruption; `None` while paused.
    pub since: Option<Timestamp>,
}

/// One synchronized clock with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// The server clock's time in ms at creation or recovery; above any epoch that the id had before.
    pub epoch: u64,
    /// Starts at 1 and grows by 1 with every change.
    pub version: u64,
    /// Whose clock runs.
    pub mode: Mode,
    /// Its status.
    pub status: Status,
    /// What a flag does.
    pub on_timeout: OnTimeout,
    /// In the order given.
    pub participants: Vec<Participant>,
    /// The groups that have a name; empty outside [`Mode::PerGroup`].
    pub groups: Arc<[Group]>,
    /// What each clock has left, at `since` while it runs: one for each participant, one for each
    /// group, or one for all, by mode. In [`Mode::PerCycle`] the one clock is the turn's, zero between
    /// turns.
    pub clocks: Vec<Millis>,
    /// The turn in progress, running or paused.
    pub turn: Option<Turn>,
    /// The session's time as given.
    pub total_time: Millis,
    /// A turn's time in [`Mode::PerCycle`].
    pub time_per_cycle: Option<Millis>,
    /// Added to a clock after a completed turn.
    pub increment: Millis,
    /// How far a clock of [`Mode::CountUp`] may count.
    pub max_time: Option<Millis>,
    /// Remaining times at which clients are warned.
    pub warn_at: Arc<[Millis]>,
    /// A JSON object of the client's, which the engine does not look into.
    pub metadata: Option<Arc<str>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended, in whatever way.
    pub completed_at: Option<Timestamp>,
    /// Turns in a row that began by themselves, since a command did something last.
    pub unattended_turns: u64,
    /// The clocks under a time control: `increment`, `time_per_cycle` and `max_time` are not set then.
    pub controls: Option<Box<SessionControls>>,
}

impl Session {
    /// Whose turn it is.
    pub fn active(&self) -> Option<&Participant> {
        self.turn.map(|turn| &self.participants[turn.participant])
    }

    /// Since when a turn has been running without interruption.
    pub fn cycle_started_at(&self) -> Option<Timestamp> {
        self.turn.and_then(|turn| turn.since)
    }

    /// The participant of that name: an index into [`Session::participants`].
    pub fn position(&self, id: ParticipantId) -> Option<usize> {
        self.participants.iter().position(|participant| participant.id == id)
    }

    /// The participant whose turn flagged last.
    pub fn last_expired(&self) -> Option<ParticipantId> {
        self.participants
            .iter()
            .filter(|participant| participant.expired_at.is_some())
            .max_by_key(|participant| participant.expired_at)
            .map(|participant| participant.id)
    }
}
