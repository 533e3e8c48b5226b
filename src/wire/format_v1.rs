//! States that version 1 left: the public state, without what came since, read into a session. Does not know where they are
//! stored.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::{
    Group, GroupId, Millis, Mode, OnTimeout, Participant, ParticipantId, Session, SessionId, Status, Timestamp, Turn,
    Uuid, violation,
};

use super::instant;

#[derive(Deserialize)]
struct StateJsonV1<'a> {
    session_id: &'a str,
    sync_mode: &'a str,
    status: &'a str,
    version: u64,
    #[serde(borrow)]
    participants: Vec<ParticipantJsonV1<'a>>,
    active_participant_id: Option<&'a str>,
    total_time_ms: u64,
    time_per_cycle_ms: Option<u64>,
    cycle_started_at: Option<&'a str>,
    session_started_at: Option<&'a str>,
    session_completed_at: Option<&'a str>,
    increment_ms: Option<u64>,
    max_time_ms: Option<u64>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    created_at: &'a str,
    updated_at: &'a str,
}

#[derive(Deserialize)]
struct ParticipantJsonV1<'a> {
    participant_id: &'a str,
    participant_index: u64,
    total_time_ms: u64,
    time_used_ms: u64,
    time_remaining_ms: u64,
    cycle_count: u64,
    #[serde(default)]
    has_expired: bool,
    group_id: Option<&'a str>,
}

/// Reads a state of version 1; `None` when it is none.
pub(super) fn read(value: &[u8]) -> Option<Session> {
    let written: StateJsonV1<'_> = serde_json::from_slice(value).ok()?;
    let session = session(&written)?;
    violation(&session).is_none().then_some(session)
}

fn session(written: &StateJsonV1<'_>) -> Option<Session> {
    let mode = Mode::ALL.into_iter().find(|mode| mode.name() == written.sync_mode)?;
    let status = Status::ALL.into_iter().find(|status| status.name() == written.status)?;
    let (created_at, updated_at) = (instant::parse(written.created_at)?, instant::parse(written.updated_at)?);
    let max_time = written.max_time_ms.map(Millis::new);
    let mut participants = Vec::with_capacity(written.participants.len());
    for member in &written.participants {
        participants.push(participant(mode, max_time, member)?);
    }
    let (clocks, groups) = clocks(mode, max_time, written, &mut participants)?;
    let turn = match status {
        Status::Running | Status::Paused => {
            let active = written.active_participant_id?;
            let participant = written.participants.iter().position(|member| member.participant_id == active)?;
            let since = instant(written.cycle_started_at)?.filter(|_| status == Status::Running);
            Some(Turn { participant, since })
        }
        Status::Pending | Status::Expired | Status::Completed | Status::Cancelled => None,
    };
    let started_at = instant(written.session_started_at)?;
    // Only `complete` said when.
    let completed_at = instant(written.session_completed_at)?.or(Some(updated_at)).filter(|_| status.is_final());
    let used = participants.iter().map(|participant| participant.used).sum();
    let total_time = match mode {
        Mode::Global => clocks.first().copied()? + used,
        Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::CountUp => Millis::new(written.total_time_ms),
    };
    Some(Session {
        id: SessionId(Uuid::parse(written.session_id)?),
        epoch: created_at.as_ms(),
        version: written.version.max(1),
        mode,
        status,
        on_timeout: OnTimeout::Expire,
        participants,
        groups: groups.into(),
        clocks,
        turn,
        total_time,
        time_per_cycle: written.time_per_cycle_ms.map(Millis::new),
        increment: Millis::new(written.increment_ms.unwrap_or_default()),
        max_time,
        warn_at: [].into(),
        metadata: written.metadata.map(|metadata| Arc::from(metadata.get())),
        created_at,
        updated_at: updated_at.max(started_at.unwrap_or_default()),
        started_at,
        completed_at,
        unattended_turns: 0,
        controls: None,
    })
}

/// What was given at creation is not said: what is left and what was used of it come to the same, or more.
fn participant(mode: Mode, max_time: Option<Millis>, member: &ParticipantJsonV1<'_>) -> Option<Participant> {
    let (left, used) = (Millis::new(member.time_remaining_ms), Millis::new(member.time_used_ms));
    let initial_time = match mode {
        Mode::PerParticipant | Mode::PerGroup | Mode::Global => left + used,
        Mode::PerCycle => Millis::new(member.total_time_ms),
        Mode::CountUp => max_time.unwrap_or(left),
    };
    Some(Participant {
        id: ParticipantId(Uuid::parse(member.participant_id)?),
        index: member.participant_index,
        group: match member.group_id {
            Some(id) => Some(GroupId(Uuid::parse(id)?)),
            None => None,
        },
        initial_time,
        clock: 0,
        used,
        cycles: member.cycle_count,
        has_expired: member.has_expired,
        expired_at: None,
    })
}

/// The clocks, and the named groups, in the order in which participants first point at them.
fn clocks(
    mode: Mode,
    max_time: Option<Millis>,
    written: &StateJsonV1<'_>,
    participants: &mut [Participant],
) -> Option<(Vec<Millis>, Vec<Group>)> {
    let left: Vec<_> = written.participants.iter().map(|member| Millis::new(member.time_remaining_ms)).collect();
    Some(match mode {
        Mode::PerParticipant | Mode::CountUp => {
            let clocks = participants.iter_mut().zip(&left).enumerate().map(|(position, (participant, left))| {
                participant.clock = position;
                match (mode, max_time) {
                    (Mode::CountUp, Some(max)) => max - participant.used,
                    _ => *left,
                }
            });
            (clocks.collect(), Vec::new())
        }
        Mode::Global => (vec![*left.first()?], Vec::new()),
        Mode::PerCycle => {
            let active = written.active_participant_id;
            let position = written.participants.iter().position(|member| Some(member.participant_id) == active);
            (vec![position.map_or(Millis::ZERO, |position| left[position])], Vec::new())
        }
        Mode::PerGroup => {
            let (mut clocks, mut groups) = (Vec::new(), Vec::<Group>::new());
            let mut known: HashMap<GroupId, usize> = HashMap::new();
            for (participant, left) in participants.iter_mut().zip(left) {
                participant.clock = clocks.len();
                let Some(id) = participant.group else {
                    clocks.push(left);
                    continue;
                };
                let position = *known.entry(id).or_insert_with(|| {
                    groups.push(Group { id, total_time: left, clock: clocks.len() });
                    clocks.push(left);
                    groups.len() - 1
                });
                participant.clock = groups[position].clock;
                groups[position].total_time += participant.used;
            }
            (clocks, groups)
        }
    })
}

/// `Some(None)` for what is absent, `None` for what is no instant.
fn instant(text: Option<&str>) -> Option<Option<Timestamp>> {
    match text {
        Some(text) => instant::parse(text).map(Some),
        None => Some(None),
    }
}
