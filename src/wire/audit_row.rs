//! An audit job, parsed once into what the archive keeps in columns; the rest stays the bytes that it is. Reads what
//! `audit_job` writes. Does not know the tables.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::engine::{GroupId, Millis, ParticipantId, SessionId, StateTag, Status, Timestamp, Uuid};

use super::audit_columns::{AuditRow, ChangeColumns, ParticipantColumns, StateColumns};
use super::audit_job::JobHeader;
use super::instant;
use super::write::Write;

/// Parses a job; `Err` says why it is none. A number that is too large for 63 bits is no number of ours, an
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
        actor: written.actor,
        cycles: written.cycle_number.0,
        happened: happened.len(),
        events,
        state,
    };
    Ok(AuditRow { change, state: written.state.into() })
}

/// The state's bytes as they were written. It comes last, behind the events, which hold no text of a client's: so
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
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
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
    #[serde(borrow)]
    time_controls: Option<&'a RawValue>,
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
            time_controls: state.time_controls.map(RawValue::get),
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
