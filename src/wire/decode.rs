//! A stored state read back into a session: the inverse of `state`. Does not know where it was stored.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::{
    self, ControlRules, Group, GroupId, Millis, Mode, OnTimeout, Participant, ParticipantId, Session, SessionControls,
    SessionId, Status, Timestamp, Turn, Uuid,
};

use super::instant;
use super::state_clock::{self, ClockJson};

/// Stored bytes that are no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable(String);

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a state as `encode` wrote it.
pub fn decode(state: &[u8]) -> Result<Session, Undecodable> {
    // Looked at as a whole, strings need not be one by one.
    let state = std::str::from_utf8(state).map_err(|error| Undecodable(error.to_string()))?;
    let written: StateJson<'_> = serde_json::from_str(state).map_err(|error| Undecodable(error.to_string()))?;
    session(&written).ok_or_else(|| Undecodable("a name, an instant or an id is not what it should be".to_owned()))
}

/// Reads a state of any origin and checks it against every rule of the engine.
pub fn decode_sound(state: &[u8]) -> Result<Session, Undecodable> {
    let session = decode(state)?;
    match engine::defect(&session) {
        Some(rule) => Err(Undecodable(format!("it does not hold that {rule}"))),
        None => Ok(session),
    }
}

/// Whether a state, or a message that carries one, has warnings: found without parsing it. What a client
/// wrote cannot look like it, since quotes inside strings are escaped; a metadata member of that name can,
/// and costs no more than the parsing.
pub fn has_warnings(state: &[u8]) -> bool {
    const NAME: &[u8] = br#""warn_at_ms":["#;
    memchr::memmem::find(state, NAME).is_some()
}

/// Reads the state in a STATE_UPDATE.
pub fn decode_frame(frame: &[u8]) -> Result<Session, Undecodable> {
    #[derive(Deserialize)]
    struct Frame<'a> {
        #[serde(borrow)]
        state: &'a RawValue,
    }
    let frame: Frame<'_> = serde_json::from_slice(frame).map_err(|error| Undecodable(error.to_string()))?;
    decode_sound(frame.state.get().as_bytes())
}

#[derive(Deserialize)]
struct StateJson<'a> {
    session_id: &'a str,
    sync_mode: &'a str,
    status: &'a str,
    version: u64,
    epoch: u64,
    #[serde(borrow)]
    participants: Vec<ParticipantJson<'a>>,
    active_participant_id: Option<&'a str>,
    total_time_ms: u64,
    time_per_cycle_ms: Option<u64>,
    cycle_started_at: Option<&'a str>,
    session_started_at: Option<&'a str>,
    session_completed_at: Option<&'a str>,
    increment_ms: u64,
    max_time_ms: Option<u64>,
    on_timeout: &'a str,
    #[serde(default)]
    warn_at_ms: Vec<u64>,
    #[serde(default, borrow)]
    groups: Vec<GroupJson<'a>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    unattended_turns: u64,
    #[serde(default, borrow)]
    time_controls: Vec<&'a RawValue>,
    #[serde(default)]
    turn_used_ms: u64,
    clock: Option<Box<ClockJson>>,
    created_at: &'a str,
    updated_at: &'a str,
}

#[derive(Deserialize)]
struct ParticipantJson<'a> {
    participant_id: &'a str,
    participant_index: u64,
    time_used_ms: u64,
    time_remaining_ms: u64,
    cycle_count: u64,
    has_expired: bool,
    group_id: Option<&'a str>,
    initial_time_ms: u64,
    expired_at: Option<&'a str>,
    control: Option<u16>,
    clock: Option<Box<ClockJson>>,
}

#[derive(Deserialize)]
struct GroupJson<'a> {
    group_id: &'a str,
    total_time_ms: u64,
    clock: Option<Box<ClockJson>>,
}

fn session(written: &StateJson<'_>) -> Option<Session> {
    let mode = named(&Mode::ALL, Mode::name, written.sync_mode)?;
    let participants: Option<Vec<_>> = written.participants.iter().map(participant).collect();
    let mut participants = participants?;
    let active = match written.active_participant_id {
        Some(id) => Some(written.participants.iter().position(|member| member.participant_id == id)?),
        None => None,
    };
    let (clocks, groups) = clocks(mode, written, &mut participants, active)?;
    let controls = if written.time_controls.is_empty() {
        None
    } else {
        Some(Box::new(self::controls(mode, written, &participants, active, clocks.len())?))
    };
    let since = optional(written.cycle_started_at)?;
    Some(Session {
        id: SessionId(Uuid::parse(written.session_id)?),
        epoch: written.epoch,
        version: written.version,
        mode,
        status: named(&Status::ALL, Status::name, written.status)?,
        on_timeout: named(&OnTimeout::ALL, OnTimeout::name, written.on_timeout)?,
        participants,
        groups: groups.into(),
        clocks,
        turn: active.map(|participant| Turn { participant, since }),
        total_time: Millis::new(written.total_time_ms),
        time_per_cycle: written.time_per_cycle_ms.map(Millis::new),
        // What is shown of a time control is no setting.
        increment: if controls.is_some() { Millis::ZERO } else { Millis::new(written.increment_ms) },
        max_time: written.max_time_ms.map(Millis::new),
        warn_at: written.warn_at_ms.iter().copied().map(Millis::new).collect(),
        metadata: written.metadata.map(|metadata| Arc::from(metadata.get())),
        created_at: instant::parse(written.created_at)?,
        updated_at: instant::parse(written.updated_at)?,
        started_at: optional(written.session_started_at)?,
        completed_at: optional(written.session_completed_at)?,
        unattended_turns: written.unattended_turns,
        controls,
    })
}

fn participant(member: &ParticipantJson<'_>) -> Option<Participant> {
    let group = match member.group_id {
        Some(id) => Some(GroupId(Uuid::parse(id)?)),
        None => None,
    };
    Some(Participant {
        id: ParticipantId(Uuid::parse(member.participant_id)?),
        index: member.participant_index,
        group,
        initial_time: Millis::new(member.initial_time_ms),
        clock: 0,
        used: Millis::new(member.time_used_ms),
        cycles: member.cycle_count,
        has_expired: member.has_expired,
        expired_at: optional(member.expired_at)?,
    })
}

/// The clocks, in the order in which the participants first point at them, as at creation.
fn clocks(
    mode: Mode,
    written: &StateJson<'_>,
    participants: &mut [Participant],
    active: Option<usize>,
) -> Option<(Vec<Millis>, Vec<Group>)> {
    let shown = |position: usize| Millis::new(written.participants[position].time_remaining_ms);
    let everybody = 0..participants.len();
    let each = |participants: &mut [Participant]| {
        for (position, participant) in participants.iter_mut().enumerate() {
            participant.clock = position;
        }
    };
    Some(match mode {
        Mode::PerParticipant | Mode::CountUp => {
            each(participants);
            (everybody.map(shown).collect(), Vec::new())
        }
        Mode::Global => (vec![(!everybody.is_empty()).then(|| shown(0))?], Vec::new()),
        Mode::PerCycle => (vec![active.map_or(Millis::ZERO, shown)], Vec::new()),
        Mode::PerGroup => {
            let mut totals = HashMap::with_capacity(written.groups.len());
            for group in &written.groups {
                totals.insert(GroupId(Uuid::parse(group.group_id)?), Millis::new(group.total_time_ms));
            }
            let (mut clocks, mut groups) = (Vec::new(), Vec::<Group>::new());
            let mut known: HashMap<GroupId, usize> = HashMap::with_capacity(written.groups.len());
            for position in everybody {
                let participant = &mut participants[position];
                if let Some(&clock) = participant.group.and_then(|id| known.get(&id)) {
                    participant.clock = clock;
                    continue;
                }
                participant.clock = clocks.len();
                clocks.push(shown(position));
                if let Some(id) = participant.group {
                    known.insert(id, participant.clock);
                    groups.push(Group { id, total_time: *totals.get(&id)?, clock: participant.clock });
                }
            }
            (clocks, groups)
        }
    })
}

/// The clocks under time controls, as they stand with participants, with groups or with the session.
fn controls(
    mode: Mode,
    written: &StateJson<'_>,
    participants: &[Participant],
    active: Option<usize>,
    clocks: usize,
) -> Option<SessionControls> {
    let by_participant: Option<Vec<_>> =
        written.participants.iter().map(|member| member.control.map(usize::from)).collect();
    let rules = ControlRules::new(state_clock::controls(&written.time_controls)?, by_participant?)?;
    let mut of_groups = HashMap::with_capacity(written.groups.len());
    for group in &written.groups {
        of_groups.insert(GroupId(Uuid::parse(group.group_id)?), group.clock.as_ref());
    }
    let mut segments = vec![None; clocks];
    for (position, (one, member)) in participants.iter().zip(&written.participants).enumerate() {
        let clock = match (mode, one.group) {
            (Mode::PerGroup, Some(group)) => *of_groups.get(&group)?,
            (Mode::Global, _) => written.clock.as_ref(),
            (Mode::PerCycle, _) if active != Some(position) => continue,
            (Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::CountUp, _) => member.clock.as_ref(),
        };
        if segments[one.clock].is_none() {
            segments[one.clock] = Some(clock?.segments(rules.control(position)));
        }
    }
    Some(SessionControls {
        rules: Arc::new(rules),
        segments: segments.into_iter().map(Option::unwrap_or_default).collect(),
        turn_used: Millis::new(written.turn_used_ms),
    })
}

fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter().copied().find(|&one| name(one) == text)
}

/// `Some(None)` for what is absent, `None` for what is no instant.
fn optional(text: Option<&str>) -> Option<Option<Timestamp>> {
    match text {
        Some(text) => instant::parse(text).map(Some),
        None => Some(None),
    }
}
