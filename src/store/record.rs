//! A state as it is kept. A record is a session with its bytes, encoded once; a snapshot is the bytes alone,
//! for whoever only hands them on. Does not know where they are kept.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::engine::{Millis, Session, StateTag, Status, Timestamp};
use crate::wire::{self, Encoded, Undecodable};

use super::Countdown;

const HOUR: Millis = Millis::new(3_600_000);
const DAY: Millis = Millis::new(86_400_000);

/// A state and its bytes.
#[derive(Debug)]
pub struct Record {
    session: Session,
    /// The session's: whoever reads it asks for this, and finding it out takes a look at every part of the session.
    deadline: Option<Timestamp>,
    encoded: OnceLock<Encoded>,
}

impl Record {
    /// The record of a state that was made at `now`.
    pub fn new(session: Session, now: Timestamp) -> Self {
        let encoded = wire::encode(&session, now).into();
        Self { deadline: session.deadline(), session, encoded }
    }

    /// The record of a state that was read back; encoded when somebody wants its bytes.
    pub fn read(session: Session) -> Self {
        Self { deadline: session.deadline(), session, encoded: OnceLock::new() }
    }

    /// The state.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// When its clock flags.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// When somebody has to look at it although nobody asks.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.session.wake_at()
    }

    /// Its bytes.
    pub fn encoded(&self) -> &Encoded {
        self.encoded.get_or_init(|| wire::encode(&self.session, self.session.updated_at))
    }

    /// The bytes alone.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { tag: self.session.tag(), deadline: self.deadline, members: self.encoded().members() }
    }

    /// When clients are to be warned.
    pub fn countdown(&self) -> Countdown {
        Countdown::of(&self.session)
    }

    /// How long the state is kept when it was written at `now` and not again: an hour past the deadline
    /// while a clock runs, a day while it waits for somebody, an hour after the end.
    pub fn lifetime(&self, now: Timestamp) -> Millis {
        match (self.session.status, self.deadline) {
            (_, Some(deadline)) => deadline.since(now) + HOUR,
            (Status::Pending | Status::Running | Status::Paused, None) => DAY,
            (Status::Expired | Status::Completed | Status::Cancelled, None) => HOUR,
        }
    }
}

/// A state's bytes, and what must be known of it to hand them on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which state it is.
    pub tag: StateTag,
    /// When its clock flags: after that it is not the present state any more.
    pub deadline: Option<Timestamp>,
    /// The state, a JSON object without its opening brace.
    pub members: Bytes,
}

impl Snapshot {
    /// Whether time has done something to the session that is not in this state yet.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// When clients are to be warned. Most sessions have no warnings, and then nothing is parsed.
    pub fn countdown(&self) -> Countdown {
        if !wire::has_warnings(&self.members) {
            return Countdown::default();
        }
        self.session().map_or_else(|_| Countdown::default(), |session| Countdown::of(&session))
    }

    /// The session, read from the bytes.
    pub fn session(&self) -> Result<Session, Undecodable> {
        wire::decode(&[b"{", &self.members[..]].concat())
    }
}
