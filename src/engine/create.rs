//! How a session begins. Takes values that are within their limits and names that are unique; the limits
//! themselves belong to the reader of requests.

use std::collections::HashMap;
use std::sync::Arc;

use super::control::Segments;
use super::id::{GroupId, ParticipantId, SessionId};
use super::session::{Group, Mode, OnTimeout, Participant, Session, Status};
use super::session_controls::{ControlRules, SessionControls};
use super::time::{Millis, Timestamp};

/// What a session is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Its name.
    pub id: SessionId,
    /// Whose clock runs.
    pub mode: Mode,
    /// At least one, with unique ids.
    pub participants: Vec<NewParticipant>,
    /// Budgets of groups that do not have their members' sum.
    pub groups: Vec<(GroupId, Millis)>,
    /// The session's time.
    pub total_time: Millis,
    /// A turn's time in [`Mode::PerCycle`].
    pub time_per_cycle: Option<Millis>,
    /// Added to a clock after a completed turn.
    pub increment: Millis,
    /// How far a clock of [`Mode::CountUp`] may count.
    pub max_time: Option<Millis>,
    /// What a flag does.
    pub on_timeout: OnTimeout,
    /// Remaining times at which clients are warned.
    pub warn_at: Arc<[Millis]>,
    /// The client's own.
    pub metadata: Option<Arc<str>>,
    /// Its time control: then that says the times of participants, groups and, unless it is given, the session.
    pub controls: Option<Box<NewControls>>,
}

/// What a session with a time control begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewControls {
    /// Who goes by which control.
    pub rules: Arc<ControlRules>,
    /// What the clock of each participant has; of those who share one the first says it.
    pub clocks: Vec<Segments>,
    /// The session's time; what all clocks have, when not given.
    pub total_time: Option<Millis>,
}

/// What a participant is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewParticipant {
    /// Its name.
    pub id: ParticipantId,
    /// Place in the rotation.
    pub index: u64,
    /// Its time.
    pub total_time: Millis,
    /// Its group.
    pub group: Option<GroupId>,
}

impl NewSession {
    /// The session's first state.
    pub fn create(&self, epoch: u64, at: Timestamp) -> Session {
        let (positions, clocks, groups) = self.clocks();
        let participants = self.participants.iter().zip(positions).map(|(given, clock)| Participant {
            id: given.id,
            index: given.index,
            group: given.group,
            initial_time: given.total_time,
            clock,
            used: Millis::ZERO,
            cycles: 0,
            has_expired: false,
            expired_at: None,
        });
        let mut session = Session {
            id: self.id,
            epoch,
            version: 1,
            mode: self.mode,
            status: Status::Pending,
            on_timeout: self.on_timeout,
            participants: participants.collect(),
            groups: groups.into(),
            clocks,
            turn: None,
            total_time: self.total_time,
            time_per_cycle: self.time_per_cycle,
            increment: self.increment,
            max_time: self.max_time,
            warn_at: Arc::clone(&self.warn_at),
            metadata: self.metadata.clone(),
            created_at: at,
            updated_at: at,
            started_at: None,
            completed_at: None,
            unattended_turns: 0,
            controls: None,
        };
        self.control(&mut session);
        session
    }

    /// What a time control says about a session that has begun to be.
    fn control(&self, session: &mut Session) {
        let Some(NewControls { rules, clocks, total_time }) = self.controls.as_deref() else { return };
        let mut segments = vec![None; session.clocks.len()];
        for (position, one) in session.participants.iter_mut().enumerate() {
            let begins = *segments[one.clock].get_or_insert(clocks[position]);
            one.initial_time = match self.mode {
                Mode::PerCycle => clocks[position],
                Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => begins,
            }
            .shown(rules.control(position));
            session.clocks[one.clock] = one.initial_time;
        }
        let mut segments: Vec<_> = segments.into_iter().map(Option::unwrap_or_default).collect();
        let all = match self.mode {
            Mode::PerCycle => {
                (segments[0], session.clocks[0]) = (Segments::default(), Millis::ZERO);
                session.participants.iter().map(|one| one.initial_time).sum()
            }
            Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {
                session.clocks.iter().copied().sum()
            }
        };
        session.groups =
            session.groups.iter().map(|group| Group { total_time: session.clocks[group.clock], ..*group }).collect();
        session.total_time = total_time.unwrap_or(all);
        let controls = SessionControls { rules: Arc::clone(rules), segments, turn_used: Millis::ZERO };
        session.controls = Some(Box::new(controls));
    }

    /// Each participant's position among the clocks, the clocks, and the named groups.
    fn clocks(&self) -> (Vec<usize>, Vec<Millis>, Vec<Group>) {
        let everybody = 0..self.participants.len();
        match self.mode {
            Mode::PerParticipant => (everybody.collect(), self.each(|given| given.total_time), Vec::new()),
            Mode::CountUp => {
                (everybody.collect(), self.each(|given| self.max_time.unwrap_or(given.total_time)), Vec::new())
            }
            Mode::Global => (everybody.map(|_| 0).collect(), vec![self.total_time], Vec::new()),
            Mode::PerCycle => (everybody.map(|_| 0).collect(), vec![Millis::ZERO], Vec::new()),
            Mode::PerGroup => self.group_clocks(),
        }
    }

    fn each(&self, time: impl Fn(&NewParticipant) -> Millis) -> Vec<Millis> {
        self.participants.iter().map(time).collect()
    }

    /// A participant without a group is a group of its own; a group without a budget has its members' sum.
    fn group_clocks(&self) -> (Vec<usize>, Vec<Millis>, Vec<Group>) {
        let mut positions = Vec::with_capacity(self.participants.len());
        let mut clocks: Vec<Millis> = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<GroupId, usize> = HashMap::new();
        for given in &self.participants {
            if let Some(&clock) = given.group.and_then(|id| known.get(&id)) {
                clocks[clock] += given.total_time;
                positions.push(clock);
                continue;
            }
            positions.push(clocks.len());
            if let Some(id) = given.group {
                known.insert(id, clocks.len());
                groups.push(Group { id, total_time: Millis::ZERO, clock: clocks.len() });
            }
            clocks.push(given.total_time);
        }
        for (id, budget) in &self.groups {
            if let Some(&clock) = known.get(id) {
                clocks[clock] = *budget;
            }
        }
        for group in &mut groups {
            group.total_time = clocks[group.clock];
        }
        (positions, clocks, groups)
    }
}
