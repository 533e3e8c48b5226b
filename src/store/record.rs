//! A state as it is stored. A record is a session with its bytes, encoded once; a snapshot is the bytes alone, for callers
//! that only hand them on. Does not know where they are stored.

use std::sync::OnceLock;

use crate::engine::{Millis, Session, SessionControls, StateTag, Timestamp};
use crate::wire::{self, Encoded, StateBody, Undecodable};

use super::countdown::Countdown;
use super::lifetime::Lifetimes;

/// What the indexes by id, by lifetime and by deadline take of a session, in bytes.
const INDEXES_LEN: usize = 256;
/// What the rules of time controls take, which all states of a session share.
const CONTROLS_LEN: usize = 1_024;

/// A state and its bytes.
#[derive(Debug)]
pub struct Record {
    session: Session,
    /// Every read asks for it, and computing it visits every participant.
    deadline: Option<Timestamp>,
    encoded: OnceLock<Encoded>,
}

impl Record {
    /// The record of a state that was made at `now`.
    pub fn new(session: Session, now: Timestamp) -> Self {
        let encoded = wire::encode(&session, now).into();
        Self { deadline: session.deadline(), session, encoded }
    }

    /// The record of a state that was read back; encoded when its bytes are first needed.
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

    /// When it is to be settled although no command arrives.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.session.wake_at()
    }

    /// Its bytes.
    pub fn encoded(&self) -> &Encoded {
        self.encoded.get_or_init(|| wire::encode(&self.session, self.session.updated_at))
    }

    /// The bytes alone.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { tag: self.session.tag(), deadline: self.deadline, body: self.encoded().body() }
    }

    /// When clients are to be warned.
    pub fn countdown(&self) -> Countdown {
        Countdown::of(&self.session)
    }

    /// How long the state is kept when it was written at `now` and not again.
    pub fn lifetime(&self, lifetimes: &Lifetimes, now: Timestamp) -> Millis {
        lifetimes.of(self.session.status, self.deadline, now)
    }

    /// How many bytes of memory it takes, its encoding included.
    pub fn size(&self) -> usize {
        let session = &self.session;
        let parts = size_of_val(&*session.participants)
            + size_of_val(&*session.groups)
            + size_of_val(&*session.clocks)
            + size_of_val(&*session.warn_at)
            + session.metadata.as_ref().map_or(0, |metadata| metadata.len());
        let controls = session
            .controls
            .as_ref()
            .map_or(0, |controls| size_of_val(&*controls.segments) + size_of::<SessionControls>() + CONTROLS_LEN);
        let encoded = self.encoded.get().map_or_else(|| wire::len_expected(session), |encoded| encoded.len());
        size_of::<Self>() + INDEXES_LEN + parts + controls + encoded
    }
}

/// A state's bytes, with the tag and the deadline that a reader needs.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which state it is.
    pub tag: StateTag,
    /// When its clock flags: after that it is not the present state any more.
    pub deadline: Option<Timestamp>,
    /// The state.
    pub body: StateBody,
}

impl Snapshot {
    /// Whether time has done something to the session that is not in this state yet.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// When clients are to be warned. Most sessions have no warnings, and then nothing is parsed.
    pub fn countdown(&self) -> Countdown {
        if !wire::has_warnings(&self.body) {
            return Countdown::default();
        }
        self.session().map_or_else(|_| Countdown::default(), |session| Countdown::of(&session))
    }

    /// The session, read from the bytes.
    pub fn session(&self) -> Result<Session, Undecodable> {
        wire::decode_sound(&self.body.to_object())
    }
}
