//! The rules a second time, the slow way: clocks that lose a millisecond in every millisecond, flag when
//! nothing is left, and are looked at each time. No deadline, no formula, no whole rounds. Written from
//! the rules and not from the engine, so that a mistake has to be made twice to go unnoticed.

use super::super::{
    Command, Millis, Mode, NewSession, OnTimeout, Outcome, ParticipantId, Patch, Precondition, Refusal, Session,
    Status, Timestamp,
};

/// A session that counts. Times are in ms.
#[derive(Clone, Debug)]
pub(super) struct Counting {
    mode: Mode,
    on_timeout: OnTimeout,
    status: Status,
    now: u64,
    version: u64,
    people: Vec<Person>,
    /// Places among `people`, in the order of their turns.
    rotation: Vec<usize>,
    /// What each clock has now; one that counts up has no entry of its own.
    clocks: Vec<u64>,
    active: Option<usize>,
    ended_at: Option<u64>,
    total: u64,
    turn: Option<u64>,
    increment: u64,
    max: Option<u64>,
    /// Whether anything happened since the last command.
    changed: bool,
    /// Turns that began by themselves since somebody did something.
    alone: u64,
}

#[derive(Clone, Debug)]
struct Person {
    id: ParticipantId,
    given: u64,
    clock: usize,
    used: u64,
    turns: u64,
    flagged: bool,
    flagged_at: Option<u64>,
}

impl Counting {
    /// The same session as [`NewSession::create`] makes at 0.
    pub(super) fn new(new: &NewSession) -> Self {
        let mut clocks: Vec<u64> = Vec::new();
        let mut names = Vec::new();
        let mut people = Vec::new();
        for one in &new.participants {
            let given = one.total_time.as_ms();
            // Who shares a name shares a clock; a name is the session's, a group's or a participant's.
            let name = match (new.mode, one.group) {
                (Mode::Global | Mode::PerCycle, _) => (0, None, None),
                (Mode::PerGroup, Some(group)) => (1, Some(group), None),
                (Mode::PerGroup | Mode::PerParticipant | Mode::CountUp, _) => (2, None, Some(one.id)),
            };
            let clock = names.iter().position(|other| *other == name).unwrap_or_else(|| {
                names.push(name);
                clocks.push(if new.mode == Mode::Global { new.total_time.as_ms() } else { 0 });
                names.len() - 1
            });
            let budget = new.groups.iter().find(|(group, _)| Some(*group) == one.group && new.mode == Mode::PerGroup);
            match (new.mode, budget) {
                (_, Some((_, budget))) => clocks[clock] = budget.as_ms(),
                (Mode::PerParticipant | Mode::PerGroup, None) => clocks[clock] += given,
                (Mode::Global | Mode::PerCycle | Mode::CountUp, None) => {}
            }
            people.push(Person { id: one.id, given, clock, used: 0, turns: 0, flagged: false, flagged_at: None });
        }
        let mut rotation: Vec<usize> = (0..people.len()).collect();
        rotation.sort_by_key(|&place| new.participants[place].index);
        Self {
            mode: new.mode,
            on_timeout: new.on_timeout,
            status: Status::Pending,
            now: 0,
            version: 1,
            people,
            rotation,
            clocks,
            active: None,
            ended_at: None,
            total: new.total_time.as_ms(),
            turn: new.time_per_cycle.map(Millis::as_ms),
            increment: new.increment.as_ms(),
            max: new.max_time.map(Millis::as_ms),
            changed: false,
            alone: 0,
        }
    }

    /// Counts up to `at` and judges.
    pub(super) fn judge(
        &mut self,
        command: &Command,
        precondition: &Precondition,
        at: u64,
    ) -> Result<Outcome, Refusal> {
        let holds = precondition.version.is_none_or(|version| version == self.version);
        self.changed = false;
        self.look();
        while self.now < at {
            self.now += 1;
            self.count();
            self.look();
        }
        let mut verdict = match self.late(command) {
            true => Ok(Outcome { expired: self.latest(), late: true }),
            false if !holds => Err(Refusal::Conflict { actual_version: 0, expected_version: None }),
            false => self.command(command),
        };
        self.version += u64::from(self.changed);
        let did_something = verdict.is_ok() && !matches!(command, Command::Settle | Command::Delete);
        if self.changed && did_something || self.status.is_final() {
            self.alone = 0;
        }
        if let Err(Refusal::Conflict { actual_version, expected_version }) = &mut verdict {
            (*actual_version, *expected_version) = (self.version, precondition.version);
        }
        verdict
    }

    /// One millisecond passes.
    fn count(&mut self) {
        let Some(active) = self.active.filter(|&place| self.status == Status::Running && !self.people[place].flagged)
        else {
            return;
        };
        self.people[active].used += 1;
        if self.mode != Mode::CountUp {
            self.clocks[self.people[active].clock] -= 1;
        }
    }

    /// What somebody's clock has now; `None` when it has no end.
    fn left(&self, place: usize) -> Option<u64> {
        let person = &self.people[place];
        match self.mode {
            Mode::CountUp => self.max.map(|max| max.saturating_sub(person.used)),
            Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::Global => Some(self.clocks[person.clock]),
        }
    }

    /// Flags who has nothing left, and whoever follows and has nothing either.
    fn look(&mut self) {
        while let (Status::Running, Some(active)) = (self.status, self.active) {
            if self.people[active].flagged || self.left(active) != Some(0) {
                return;
            }
            self.changed = true;
            let clock = self.people[active].clock;
            for (place, person) in self.people.iter_mut().enumerate() {
                person.flagged |= place == active || self.mode != Mode::PerCycle && person.clock == clock;
            }
            self.people[active].flagged_at = Some(self.now);
            match (self.on_timeout, self.mode) {
                (OnTimeout::Notify, _) => return,
                (OnTimeout::Expire, _) | (OnTimeout::Advance, Mode::Global) => self.over(Status::Expired),
                (OnTimeout::Advance, _) => {
                    self.give_turn(self.following(active));
                    self.alone += 1;
                }
            }
            self.people[active].turns += 1;
        }
    }

    /// Who is next in the rotation with a clock that has not flagged; in per_cycle simply who is next.
    fn following(&self, place: usize) -> Option<usize> {
        let here = self.rotation.iter().position(|&other| other == place).expect("everybody is in the rotation");
        let order = self.rotation[here + 1..].iter().chain(&self.rotation[..=here]);
        order.copied().find(|&other| self.mode == Mode::PerCycle || !self.people[other].flagged)
    }

    /// Begins a turn, or ends the session when there is nobody or, in per_cycle, nothing to give.
    fn give_turn(&mut self, next: Option<usize>) {
        let Some(next) = next else { return self.over(Status::Expired) };
        if self.mode == Mode::PerCycle {
            let spent: u64 = self.people.iter().map(|person| person.used).sum();
            let full = self.turn.unwrap_or(self.people[next].given);
            let turn = match self.on_timeout {
                OnTimeout::Advance => full.min(self.total.saturating_sub(spent)),
                OnTimeout::Expire | OnTimeout::Notify => full,
            };
            if turn == 0 {
                return self.over(Status::Expired);
            }
            self.clocks[0] = turn;
            (self.people[next].flagged, self.people[next].flagged_at) = (false, None);
        }
        self.active = Some(next);
        self.status = Status::Running;
        self.changed = true;
    }

    fn over(&mut self, status: Status) {
        (self.status, self.active, self.ended_at, self.changed) = (status, None, Some(self.now), true);
    }

    fn place(&self, id: ParticipantId) -> Option<usize> {
        self.people.iter().position(|person| person.id == id)
    }

    fn late(&self, command: &Command) -> bool {
        let Command::Switch { current, .. } = command else { return false };
        let named = current.and_then(|id| self.place(id));
        self.status == Status::Expired
            || named.is_some_and(|place| self.people[place].flagged && self.active != Some(place))
    }

    fn latest(&self) -> Option<ParticipantId> {
        let flagged = self.people.iter().filter(|person| person.flagged_at.is_some());
        flagged.max_by_key(|person| person.flagged_at).map(|person| person.id)
    }

    fn command(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        let allowed = match command {
            Command::Start => (self.status == Status::Pending, Refusal::CannotStart(self.status)),
            Command::Pause => (self.status == Status::Running, Refusal::CannotPause(self.status)),
            Command::Resume => (self.status == Status::Paused, Refusal::CannotResume(self.status)),
            Command::Switch { .. } => (self.status == Status::Running, Refusal::NotRunning(self.status)),
            Command::Patch(patch) => {
                (!self.status.is_final() || !patch.names_settings(), Refusal::CannotUpdate(self.status))
            }
            Command::Settle | Command::Delete | Command::Complete | Command::Cancel => {
                (true, Refusal::NotRunning(self.status))
            }
        };
        if let (false, refusal) = allowed {
            return Err(refusal);
        }
        match command {
            Command::Settle | Command::Delete => {}
            Command::Start => self.give_turn(Some(self.rotation[0])),
            Command::Pause => (self.status, self.changed) = (Status::Paused, true),
            Command::Resume => (self.status, self.changed) = (Status::Running, true),
            Command::Switch { next, current } => return self.switch(*next, *current),
            Command::Complete | Command::Cancel if self.status.is_final() => {}
            Command::Complete => self.over(Status::Completed),
            Command::Cancel => self.over(Status::Cancelled),
            Command::Patch(patch) => return self.patch(patch),
        }
        Ok(Outcome::default())
    }

    fn switch(&mut self, next: Option<ParticipantId>, current: Option<ParticipantId>) -> Result<Outcome, Refusal> {
        let active = self.active.expect("a running session has an active participant");
        if current.is_some_and(|id| self.place(id) != Some(active)) {
            return Err(Refusal::Conflict { actual_version: 0, expected_version: None });
        }
        let next = match next {
            None => self.following(active),
            Some(id) => match self.place(id) {
                None => return Err(Refusal::UnknownParticipant(id)),
                Some(place) if self.people[place].flagged && self.mode != Mode::PerCycle => {
                    return Err(Refusal::ExpiredParticipant(id));
                }
                Some(place) => Some(place),
            },
        };
        let flagged = self.people[active].flagged;
        let clock = self.people[active].clock;
        if next == Some(active) && self.others_can_go(active) {
            if flagged {
                return Ok(Outcome { expired: Some(self.people[active].id), late: true });
            }
            // The same turn, and nothing for it: the clock has been counting all the time.
            self.changed = true;
            return Ok(Outcome::default());
        }
        self.people[active].turns += 1;
        if let Some(next) = next.filter(|_| !flagged) {
            match self.mode {
                Mode::PerParticipant => self.clocks[clock] += self.increment,
                Mode::PerGroup if self.people[next].clock == clock => {}
                Mode::PerGroup => self.clocks[clock] += self.increment,
                Mode::PerCycle | Mode::Global | Mode::CountUp => {}
            }
        }
        self.give_turn(next);
        Ok(Outcome { expired: flagged.then_some(self.people[active].id), late: false })
    }

    fn others_can_go(&self, place: usize) -> bool {
        let can_go = |person: &Person| self.mode == Mode::PerCycle || !person.flagged;
        self.people.iter().enumerate().any(|(other, person)| other != place && can_go(person))
    }

    /// Knows the settings that a clock depends on; the others change nothing here.
    fn patch(&mut self, patch: &Patch) -> Result<Outcome, Refusal> {
        let before = (self.on_timeout, self.increment, self.turn, self.max);
        let most = self.people.iter().map(|person| person.used).max().unwrap_or_default();
        if let Some(Some(max)) = patch.max_time
            && max.as_ms() < most
        {
            return Err(Refusal::MaxTimeBelowUsed { used: Millis::new(most) });
        }
        let spent: u64 = self.people.iter().map(|person| person.used).sum();
        if self.mode == Mode::PerCycle
            && self.on_timeout != OnTimeout::Advance
            && patch.on_timeout == Some(OnTimeout::Advance)
            && spent >= self.total
        {
            return Err(Refusal::TotalTimeUsed { total: Millis::new(self.total) });
        }
        self.max = patch.max_time.map_or(self.max, |max| max.map(Millis::as_ms));
        self.turn = patch.time_per_cycle.map_or(self.turn, |turn| turn.map(Millis::as_ms));
        self.increment = patch.increment.map_or(self.increment, Millis::as_ms);
        self.on_timeout = patch.on_timeout.unwrap_or(self.on_timeout);
        self.changed |= before != (self.on_timeout, self.increment, self.turn, self.max);
        if self.mode == Mode::CountUp && self.changed {
            for person in &mut self.people {
                if person.flagged && self.max.is_none_or(|max| person.used < max) {
                    (person.flagged, person.flagged_at) = (false, None);
                }
            }
        }
        Ok(Outcome::default())
    }

    /// Asserts that `session` shows what was counted.
    #[track_caller]
    pub(super) fn assert_same(&self, session: &Session) {
        let now = Timestamp::from_ms(self.now);
        let running = session.active().filter(|active| !active.has_expired);
        let passed = session.cycle_started_at().map_or(0, |since| now.as_ms() - since.as_ms());
        let counted = (self.version, self.status, self.active, self.ended_at, self.alone);
        let active = session.turn.map(|turn| turn.participant);
        let ended_at = session.completed_at.map(Timestamp::as_ms);
        let shown = (session.version, session.status, active, ended_at, session.unattended_turns);
        assert_eq!(shown, counted, "version, status, active, end: {session:?}\n{self:?}");
        for (place, (one, person)) in session.participants.iter().zip(&self.people).enumerate() {
            let its_turn = running.is_some_and(|active| active.id == one.id);
            let its_clock = running.is_some_and(|active| active.clock == one.clock)
                && (its_turn || self.mode != Mode::PerCycle)
                && (self.mode != Mode::CountUp || self.max.is_some());
            let used = one.used.as_ms() + if its_turn { passed } else { 0 };
            let left = session.shown_time(place).as_ms() as i128 - if its_clock { i128::from(passed) } else { 0 };
            let counted_left = match self.mode {
                Mode::PerCycle if self.active != Some(place) => self.turn.unwrap_or(person.given),
                Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::Global | Mode::CountUp => {
                    self.left(place).unwrap_or(person.given)
                }
            };
            let shown = (used, left, one.cycles, one.has_expired, one.expired_at.map(Timestamp::as_ms));
            let counted = (person.used, i128::from(counted_left), person.turns, person.flagged, person.flagged_at);
            assert_eq!(shown, counted, "used, left, turns, flag of {place}: {session:?}\n{self:?}");
        }
    }
}
