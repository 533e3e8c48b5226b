//! Sessions to work on, the same in every bench. Does not know what is measured.

#![allow(dead_code, reason = "not every bench needs all of it")]

use synckairos::engine::{
    Command, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Precondition, Session, SessionId,
    Timestamp, Uuid, judge,
};

/// The least and the most participants that are measured: a game, and the largest session that there may be.
pub(crate) const SIZES: [u64; 2] = [2, 1_000];

/// 2025-01-01T00:00:00Z.
pub(crate) const BEGIN: Timestamp = Timestamp::from_ms(1_735_689_600_000);

/// A switch by rotation.
pub(crate) const SWITCH: Command = Command::Switch { next: None, current: None };

/// The `n`th session: so many participants with an hour each.
pub(crate) fn new_session(n: u64, participants: u64) -> NewSession {
    let hour = Millis::new(3_600_000);
    let participant = |place| NewParticipant {
        id: ParticipantId(uuid(n << 16 | (place + 1))),
        index: place,
        total_time: hour,
        group: None,
    };
    NewSession {
        id: SessionId(uuid(n << 16)),
        mode: Mode::PerParticipant,
        participants: (0..participants).map(participant).collect(),
        groups: Vec::new(),
        total_time: hour.times(participants),
        time_per_cycle: None,
        increment: Millis::new(2_000),
        max_time: None,
        on_timeout: OnTimeout::Expire,
        warn_at: [].into(),
        metadata: None,
        controls: None,
    }
}

/// `new`, started at [`BEGIN`].
pub(crate) fn started(new: &NewSession) -> Session {
    let judged = judge(&new.create(BEGIN.as_ms(), BEGIN), &Command::Start, &Precondition::default(), BEGIN);
    judged.verdict.expect("a new session can be started");
    judged.session
}

fn uuid(n: u64) -> Uuid {
    Uuid::from_bits(0x4000_8000_0000_0000_0000 | u128::from(n))
}
