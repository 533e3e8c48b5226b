//! What clients asked of one session and were answered, and when. Instants are nanoseconds of one monotonic clock, that of
//! whoever recorded them. Does not know what is right.

/// Nanoseconds since whoever recorded the history began.
pub type Instant = u64;

/// Epoch and version: names one state for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    pub epoch: u64,
    pub version: u64,
}

/// Everything that is known about one session.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub operations: Vec<Operation>,
    /// States that somebody was sent without asking for them.
    pub sightings: Vec<Sighting>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked: for people who read the history.
    pub client: u32,
    pub invoked: Instant,
    /// When the answer was there; of an operation of unknown outcome nothing follows from it.
    pub returned: Instant,
    pub ask: Ask,
    pub answer: Answer,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// A session of so many participants, each with a clock of its own; rotation is by their numbers from 0.
    Create {
        participants: u8,
        on_timeout: OnTimeout,
    },
    Read,
    Start,
    Switch(Moves),
    Pause,
    Resume,
    /// A mark that no other change of any session has.
    Patch {
        mark: u64,
        expected: Option<u64>,
    },
    Complete,
    Cancel,
    Delete {
        expected: Option<Tag>,
    },
}

/// Whom a switch names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moves {
    pub current: Option<u8>,
    pub next: Option<u8>,
    pub expected: Option<u64>,
}

/// What the end of a clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnTimeout {
    Expire,
    Advance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Pending,
    Running,
    Paused,
    Expired,
    Completed,
    Cancelled,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done, and the session is now, or was when it was read, like this.
    Done(View),
    /// A switch that came too late: nothing was done, and the session is like this.
    Late(View),
    /// It was deleted, or was not there.
    Gone,
    Refused(RefusalKind),
    /// It was not done, and nobody says why: a service that is not available, a request that never left.
    NotDone,
    /// Nobody knows: no answer came, or the answer was that nobody knows. It may take effect at any later time, or never.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    NotFound,
    Exists,
    /// The session is at this version.
    Conflict {
        actual: u64,
    },
    /// The status does not allow it.
    WrongStatus(Status),
    /// The participant that is to be next has no time left.
    OutOfTime,
}

/// A state, as far as an answer shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub tag: Tag,
    pub status: Status,
    pub active: Option<u8>,
    /// Whose clocks have run out, a bit each.
    pub out: u32,
    /// Its newest mark, if the answer shows marks.
    pub mark: Option<Option<u64>>,
    /// When the running clock runs out, if the answer says so.
    pub deadline: Option<DeadlineWindow>,
}

/// When a deadline is, on the clock of whoever recorded the history: between these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineWindow {
    pub earliest: Instant,
    pub latest: Instant,
}

/// A state that was sent to somebody who watches: it was there at some time before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub at: Instant,
    pub view: View,
}

impl Operation {
    /// The state that it shows.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        match &self.answer {
            Answer::Done(view) | Answer::Late(view) => Some(view),
            Answer::Gone | Answer::Refused(_) | Answer::NotDone | Answer::Unknown => None,
        }
    }
}

impl Status {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Status::Pending | Status::Running | Status::Paused => false,
            Status::Expired | Status::Completed | Status::Cancelled => true,
        }
    }
}

impl View {
    /// Whether two answers say the same, as far as both say something.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let is_same_mark = match (self.mark, other.mark) {
            (Some(one), Some(two)) => one == two,
            (None, _) | (_, None) => true,
        };
        (self.tag, self.status, self.active, self.out) == (other.tag, other.status, other.active, other.out)
            && is_same_mark
    }
}
