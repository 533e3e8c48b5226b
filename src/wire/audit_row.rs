//! An audit job, parsed once into what the archive keeps in columns; the rest stays the bytes that it is. Reads what
//! `audit_job` writes. Does not know the tables.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::engine::{GroupId, Millis, ParticipantId, SessionId, StateTag, Status, Timestamp, Uuid};

use super::audit_job::JobHeader;
use super::instant;
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

/// Takes a job apart; `Err` says why it is none. A number that is too large for 63 bits is no number of ours, an
/// instant after the year 9999 is none.
pub fn audit_row(job: &[u8]) -> Result<AuditRow<'_>, String> {
    let job = std::str::from_utf8(job).map_err(|error| error.to_string())?;
    let written: JobJson<'_> = serde_json::from_str(job).map_err(|error| error.to_string())?;
    let state = state_of(job).ok_or("its state is not where it should be")?;
    let happened: Vec<IgnoredAny> =
        serde_json::from_str(written.events.get()).map_err(|error| format!("in its events: {error}"))?;
    let mut events = Vec::with_capacity(written.events.get().len() + 12);
    events.raw(r#"{"events":"#);
    events.raw(written.events.get());
    events.raw("}");
    let change = ChangeColumns {
        name: JobHeader {
            event: written.event_id.0,
            session: SessionId(written.session_id.0),
            tag: StateTag { epoch: written.epoch.0, version: written.version.0 },
            at: written.timestamp_ms.0,
        },
        kind: written.event_type,
        participant: written.participant_id.map(participant_id),
        group: written.group_id.map(group_id),
        time_remaining: written.time_remaining_ms.map(millis),
        time_elapsed: written.time_elapsed_ms.map(millis),
        cycles: written.cycle_number.0,
        happened: happened.len(),
        events,
        state,
    };
    Ok(AuditRow { change, state: written.state.into() })
}

/// The state's bytes as they were written. It stands last, behind the events, in which there is no text of a client's: so
/// the first `],"state":` is the one before it.
fn state_of(job: &str) -> Option<&str> {
    const BEFORE: &str = r#"],"state":"#;
    let start = memchr::memmem::find(job.as_bytes(), BEFORE.as_bytes())? + BEFORE.len();
    job[start..].strip_suffix('}')
}

#[derive(Deserialize)]
struct JobJson<'a> {
    event_id: Id,
    session_id: Id,
    epoch: Whole,
    version: Whole,
    event_type: &'a str,
    timestamp_ms: Ms,
    participant_id: Option<Id>,
    group_id: Option<Id>,
    time_remaining_ms: Option<Whole>,
    time_elapsed_ms: Option<Whole>,
    cycle_number: Whole,
    #[serde(borrow)]
    events: &'a RawValue,
    #[serde(borrow)]
    state: JobStateJson<'a>,
}

#[derive(Deserialize)]
struct JobStateJson<'a> {
    sync_mode: &'a str,
    status: &'a str,
    participants: Vec<JobParticipantJson>,
    active_participant_id: Option<Id>,
    time_per_cycle_ms: Option<Whole>,
    cycle_started_at: Option<At>,
    session_started_at: Option<At>,
    session_completed_at: Option<At>,
    increment_ms: Whole,
    max_time_ms: Option<Whole>,
    deadline_at: Option<At>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    created_at: At,
}

#[derive(Deserialize)]
struct JobParticipantJson {
    participant_id: Id,
    participant_index: Whole,
    time_used_ms: Whole,
    cycle_count: Whole,
    has_expired: bool,
    group_id: Option<Id>,
    initial_time_ms: Whole,
    expired_at: Option<At>,
}

impl<'a> From<JobStateJson<'a>> for StateColumns<'a> {
    fn from(state: JobStateJson<'a>) -> Self {
        let status = Status::ALL.iter().find(|status| status.name() == state.status);
        Self {
            mode: state.sync_mode,
            status: status.map(|status| status.name()),
            final_status: status.filter(|status| status.is_final()).map(|status| status.name()),
            active: state.active_participant_id.map(participant_id),
            active_since: state.cycle_started_at.map(|at| at.0),
            time_per_cycle: state.time_per_cycle_ms.map(millis),
            increment: millis(state.increment_ms),
            max_time: state.max_time_ms.map(millis),
            created_at: state.created_at.0,
            started_at: state.session_started_at.map(|at| at.0),
            completed_at: state.session_completed_at.map(|at| at.0),
            deadline: state.deadline_at.map(|at| at.0),
            metadata: state.metadata.map(RawValue::get),
            participants: state.participants.into_iter().map(ParticipantColumns::from).collect(),
        }
    }
}

impl From<JobParticipantJson> for ParticipantColumns {
    fn from(member: JobParticipantJson) -> Self {
        Self {
            id: participant_id(member.participant_id),
            index: member.participant_index.0,
            group: member.group_id.map(group_id),
            initial_time: millis(member.initial_time_ms),
            used: millis(member.time_used_ms),
            cycles: member.cycle_count.0,
            has_expired: member.has_expired,
            expired_at: member.expired_at.map(|at| at.0),
        }
    }
}

/// A UUID.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "&str")]
struct Id(Uuid);

impl TryFrom<&str> for Id {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Uuid::parse(text).map(Self).ok_or("no UUID")
    }
}

/// A number that fits where there are none without a sign.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
struct Whole(u64);

impl TryFrom<u64> for Whole {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        if i64::try_from(number).is_ok() { Ok(Self(number)) } else { Err("a number that is too large") }
    }
}

/// An instant as a number.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
struct Ms(Timestamp);

impl TryFrom<u64> for Ms {
    type Error = &'static str;

    fn try_from(ms: u64) -> Result<Self, Self::Error> {
        if ms <= instant::MAX_MS { Ok(Self(Timestamp::from_ms(ms))) } else { Err("an instant that is too late") }
    }
}

/// An instant as text.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "&str")]
struct At(Timestamp);

impl TryFrom<&str> for At {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        instant::parse(text).map(Self).ok_or("no instant")
    }
}

fn participant_id(id: Id) -> ParticipantId {
    ParticipantId(id.0)
}

fn group_id(id: Id) -> GroupId {
    GroupId(id.0)
}

fn millis(number: Whole) -> Millis {
    Millis::new(number.0)
}
