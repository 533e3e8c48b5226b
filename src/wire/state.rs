//! A session's state as clients see it, encoded once: one buffer holds the frame that goes to WebSocket
//! clients, and the state and its participants are ranges of it. Does not know who reads it.

use std::ops::Range;

use bytes::Bytes;

use crate::engine::{Mode, Participant, Session, Timestamp};

use super::state_body::StateBody;
use super::state_clock;
use super::write::Write;

/// The bytes of one state. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Encoded {
    frame: Bytes,
    state: Range<usize>,
    participants: Range<usize>,
}

impl Encoded {
    /// The STATE_UPDATE message that carries the state.
    pub fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// How many bytes there are.
    #[expect(clippy::len_without_is_empty, reason = "a state is never empty")]
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// The state itself, a JSON object.
    pub fn state(&self) -> Bytes {
        self.frame.slice(self.state.clone())
    }

    /// The state, to be put behind members of another's.
    pub fn body(&self) -> StateBody {
        StateBody::of_object(self.state())
    }

    /// The state's participants, a JSON array.
    pub fn participants(&self) -> Bytes {
        self.frame.slice(self.participants.clone())
    }
}

/// Encodes a state that was made at `at`.
pub fn encode(session: &Session, at: Timestamp) -> Encoded {
    let mut frame = Vec::with_capacity(len_expected(session));
    frame.raw(r#"{"type":"STATE_UPDATE","sessionId":"#);
    frame.uuid(session.id.0);
    frame.raw(r#","timestamp":"#);
    frame.number(at.as_ms());
    frame.raw(r#","state":"#);
    let start = frame.len();
    let participants = write_state(&mut frame, session);
    let state = start..frame.len();
    frame.raw("}");
    Encoded { frame: frame.into(), state, participants }
}

/// Enough for all but extreme numbers, and little more: the buffer lives as long as the state.
pub fn len_expected(session: &Session) -> usize {
    let metadata_len = session.metadata.as_ref().map_or(0, |metadata| metadata.len());
    let participant_len = if session.mode == Mode::PerGroup { 325 } else { 270 };
    let controls_len = session.controls.as_ref().map_or(0, |controls| state_clock::len_expected(controls));
    720 + metadata_len
        + controls_len
        + session.participants.len() * participant_len
        + session.groups.len() * 120
        + session.warn_at.len() * 10
}

/// Returns where the participants are.
fn write_state(out: &mut Vec<u8>, session: &Session) -> Range<usize> {
    out.raw(r#"{"session_id":"#);
    out.uuid(session.id.0);
    out.raw(r#","sync_mode":""#);
    out.raw(session.mode.name());
    out.raw(r#"","status":""#);
    out.raw(session.status.name());
    out.raw(r#"","version":"#);
    out.number(session.version);
    out.raw(r#","epoch":"#);
    out.number(session.epoch);
    out.raw(r#","participants":"#);
    let start = out.len();
    for (position, participant) in session.participants.iter().enumerate() {
        out.raw(if position == 0 { "[" } else { "," });
        write_participant(out, session, position, participant);
    }
    out.raw("]");
    let participants = start..out.len();
    out.raw(r#","active_participant_id":"#);
    out.uuid_or_null(session.active().map(|active| active.id.0));
    out.raw(r#","total_time_ms":"#);
    out.millis(session.total_time);
    out.raw(r#","time_per_cycle_ms":"#);
    match session.time_per_cycle {
        Some(time) => out.millis(time),
        None => out.raw("null"),
    }
    out.raw(r#","cycle_started_at":"#);
    out.instant_or_null(session.cycle_started_at());
    out.raw(r#","session_started_at":"#);
    out.instant_or_null(session.started_at);
    out.raw(r#","session_completed_at":"#);
    out.instant_or_null(session.completed_at);
    out.raw(r#","increment_ms":"#);
    out.millis(session.shown_increment());
    if let Some(max) = session.max_time {
        out.raw(r#","max_time_ms":"#);
        out.millis(max);
    }
    out.raw(r#","deadline_at":"#);
    out.instant_or_null(session.deadline());
    out.raw(r#","on_timeout":""#);
    out.raw(session.on_timeout.name());
    out.raw("\"");
    if session.unattended_turns > 0 {
        out.raw(r#","unattended_turns":"#);
        out.number(session.unattended_turns);
    }
    write_settings(out, session);
    if session.controls.is_some() {
        state_clock::write_of_session(out, session);
    }
    out.raw(r#","created_at":"#);
    out.instant(session.created_at);
    out.raw(r#","updated_at":"#);
    out.instant(session.updated_at);
    out.raw("}");
    participants
}

fn write_participant(out: &mut Vec<u8>, session: &Session, position: usize, participant: &Participant) {
    let shown = session.shown_time(position);
    out.raw(r#"{"participant_id":"#);
    out.uuid(participant.id.0);
    out.raw(r#","participant_index":"#);
    out.number(participant.index);
    out.raw(r#","total_time_ms":"#);
    out.millis(shown);
    out.raw(r#","time_used_ms":"#);
    out.millis(participant.used);
    out.raw(r#","time_remaining_ms":"#);
    out.millis(shown);
    out.raw(r#","cycle_count":"#);
    out.number(participant.cycles);
    out.raw(r#","is_active":"#);
    out.boolean(session.turn.is_some_and(|turn| turn.participant == position));
    out.raw(r#","has_expired":"#);
    out.boolean(participant.has_expired);
    if let Some(group) = participant.group {
        out.raw(r#","group_id":"#);
        out.uuid(group.0);
    }
    out.raw(r#","initial_time_ms":"#);
    out.millis(participant.initial_time);
    if let Some(at) = participant.expired_at {
        out.raw(r#","expired_at":"#);
        out.instant(at);
    }
    if session.controls.is_some() {
        state_clock::write_of_participant(out, session, position);
    }
    out.raw("}");
}

/// What most sessions do not have: warnings, groups, metadata.
fn write_settings(out: &mut Vec<u8>, session: &Session) {
    for (position, threshold) in session.warn_at.iter().enumerate() {
        out.raw(if position == 0 { r#","warn_at_ms":["# } else { "," });
        out.millis(*threshold);
    }
    if !session.warn_at.is_empty() {
        out.raw("]");
    }
    for (position, group) in session.groups.iter().enumerate() {
        out.raw(if position == 0 { r#","groups":[{"group_id":"# } else { r#",{"group_id":"# });
        out.uuid(group.id.0);
        out.raw(r#","total_time_ms":"#);
        out.millis(group.total_time);
        out.raw(r#","time_remaining_ms":"#);
        out.millis(session.clocks[group.clock]);
        if session.controls.is_some() {
            state_clock::write_of_group(out, session, group);
        }
        out.raw("}");
    }
    if !session.groups.is_empty() {
        out.raw("]");
    }
    if let Some(metadata) = &session.metadata {
        out.raw(r#","metadata":"#);
        out.raw(metadata);
    }
}
