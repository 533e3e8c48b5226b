//! The rules a second time, the slow way: clocks that lose a millisecond in every millisecond, flag when
//! nothing is left, and are looked at each time. No deadline, no formula, no whole rounds. Written from
//! the rules and not from the engine, so that a mistake has to be made twice to go unnoticed.

use super::super::{
    ClockSetting, Command, Millis, Mode, NewSession, OnTimeout, Outcome, ParticipantId, Patch, Precondition, Refusal,
    Session, StageSystem, Status, System, Timestamp,
};
use super::counting_controls::TickingClocks;
use super::ticking::{Mutant, Ticking};

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
    /// Clocks under time controls, instead of `clocks`.
    ticking: Option<TickingClocks>,
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
        let points_at: Vec<_> = people.iter().map(|person: &Person| person.clock).collect();
        let ticking = new.controls.as_ref().map(|controls| TickingClocks::new(controls, &points_at));
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
            total: new.create(0, Timestamp::from_ms(0)).total_time.as_ms(),
            turn: new.time_per_cycle.map(Millis::as_ms),
            increment: new.increment.as_ms(),
            max: new.max_time.map(Millis::as_ms),
            changed: false,
            alone: 0,
            ticking,
        }
    }

    /// From now on its clocks are wrong in one thing.
    pub(super) fn mutate(&mut self, mutant: Mutant) {
        self.ticking.iter_mut().for_each(|ticking| ticking.mutate(mutant));
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
        if let Some(ticking) = &mut self.ticking {
            ticking.tick(self.people[active].clock);
        } else if self.mode != Mode::CountUp {
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
            let is_over = match &self.ticking {
                Some(ticking) => ticking.is_over(self.people[active].clock),
                None => self.left(active) == Some(0),
            };
            if self.people[active].flagged || !is_over {
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
        order.copied().find(|&other| !self.is_out(other))
    }

    /// Whether somebody can have no further turn.
    fn is_out(&self, place: usize) -> bool {
        let person = &self.people[place];
        let has_own_turns = self.ticking.as_ref().is_some_and(|ticking| ticking.has_own_turns(person.clock));
        person.flagged && self.mode != Mode::PerCycle && !has_own_turns
    }

    /// Begins a turn, or ends the session when there is nobody or, in per_cycle, nothing to give.
    fn give_turn(&mut self, next: Option<usize>) {
        let Some(next) = next else { return self.over(Status::Expired) };
        if self.ticking.is_some() {
            if !self.give_ticking_turn(next) {
                return self.over(Status::Expired);
            }
        } else if self.mode == Mode::PerCycle {
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

    /// The same under time controls; says whether there is anything to give.
    fn give_ticking_turn(&mut self, next: usize) -> bool {
        let Some(ticking) = &mut self.ticking else { return true };
        let spent: u64 = self.people.iter().map(|person| person.used).sum();
        let is_bound = self.on_timeout == OnTimeout::Advance && ticking.can_go_on_for_ever(self.mode);
        let rest = is_bound.then(|| self.total.saturating_sub(spent));
        if self.active.is_some() && rest == Some(0) {
            return false;
        }
        let clock = self.people[next].clock;
        let before = self.active.map(|active| (self.people[active].clock, self.people[active].flagged));
        if let Some((clock, true)) = before
            && ticking.has_own_turns(clock)
        {
            ticking.clocks[clock].begin_turn();
        }
        if self.mode == Mode::PerCycle {
            ticking.clocks[0] = Ticking::new(&ticking.controls[next]);
        } else if before != Some((clock, false)) || self.mode != Mode::PerGroup {
            ticking.clocks[clock].begin_turn_count();
        }
        ticking.turn_left = rest;
        let mode = self.mode;
        let is_his = |place: usize, person: &Person| match mode {
            Mode::PerCycle => place == next,
            Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => person.clock == clock,
        };
        for (place, person) in self.people.iter_mut().enumerate() {
            if is_his(place, person) {
                (person.flagged, person.flagged_at) = (false, None);
            }
        }
        true
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
                Some(place) if self.is_out(place) => {
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
        if let (Some(next), Some(ticking)) = (next.filter(|_| !flagged), &mut self.ticking) {
            let completes = match self.mode {
                Mode::PerParticipant => true,
                Mode::PerGroup => self.people[next].clock != clock,
                Mode::PerCycle | Mode::Global | Mode::CountUp => false,
            };
            if completes {
                ticking.clocks[clock].complete();
            }
        } else if let Some(next) = next.filter(|_| !flagged) {
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
        (0..self.people.len()).any(|other| other != place && !self.is_out(other))
    }

    /// Knows the settings that a clock depends on; the others change nothing here.
    fn patch(&mut self, patch: &Patch) -> Result<Outcome, Refusal> {
        let before = (self.on_timeout, self.increment, self.turn, self.max);
        let is_bound = match &self.ticking {
            Some(ticking) => ticking.can_go_on_for_ever(self.mode),
            None => self.mode == Mode::PerCycle,
        };
        if let Some(refusal) = self.refused_by_controls(patch) {
            return Err(refusal);
        }
        let most = self.people.iter().map(|person| person.used).max().unwrap_or_default();
        if let Some(Some(max)) = patch.max_time
            && max.as_ms() < most
        {
            return Err(Refusal::MaxTimeBelowUsed { used: Millis::new(most) });
        }
        let spent: u64 = self.people.iter().map(|person| person.used).sum();
        if is_bound
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

    fn refused_by_controls(&self, patch: &Patch) -> Option<Refusal> {
        let ticking = self.ticking.as_ref()?;
        if patch.increment.is_some() {
            return Some(Refusal::SetByTimeControl(ClockSetting::Increment));
        } else if patch.time_per_cycle.is_some() {
            return Some(Refusal::SetByTimeControl(ClockSetting::TimePerCycle));
        } else if patch.max_time.is_some() {
            return Some(Refusal::SetByTimeControl(ClockSetting::MaxTime));
        }
        let cannot = |one: &StageSystem| {
            matches!(one.system, System::Hourglass { .. } | System::Overtime { overtime: None, .. })
        };
        let is_bad =
            self.mode == Mode::Global || ticking.controls.iter().any(|control| control.given().iter().any(cannot));
        (patch.on_timeout == Some(OnTimeout::Advance) && is_bad).then_some(Refusal::CannotAdvance)
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
            if let Some(ticking) = &self.ticking {
                self.assert_same_clock(session, place, passed, ticking);
                let shown = (used, one.cycles, one.has_expired, one.expired_at.map(Timestamp::as_ms));
                let counted = (person.used, person.turns, person.flagged, person.flagged_at);
                assert_eq!(shown, counted, "used, turns, flag of {place}: {session:?}\n{self:?}");
                continue;
            }
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

    /// Asserts that the clock of `place` has what was counted, `passed` ms after the turn went on.
    fn assert_same_clock(&self, session: &Session, place: usize, passed: u64, ticking: &TickingClocks) {
        let clock = self.people[place].clock;
        let active = session.active().filter(|_| session.turn.is_some());
        let is_active = session.turn.is_some_and(|turn| turn.participant == place);
        let runs = active.is_some_and(|one| one.clock == clock && !one.has_expired);
        let control = &ticking.controls[place];
        if self.mode == Mode::PerCycle && !is_active {
            assert_eq!(session.shown_time(place).as_ms(), Ticking::new(control).left(), "a full turn of {place}");
            return;
        }
        let (_, mut segments) = session.clock_of(place).expect("it has a time control");
        let elapsed = Millis::new(if runs && session.cycle_started_at().is_some() { passed } else { 0 });
        let charged = segments.fold(control, elapsed);
        let glass = active.is_some_and(|one| one.clock != clock && !one.has_expired).then(|| {
            // What the other one has lost since.
            let position = session.turn.expect("it is active").participant;
            let (control, mut other) = session.clock_of(position).expect("it has a time control");
            let charged = other.fold(control, Millis::new(passed));
            if matches!(control.given()[0].system, System::Hourglass { .. }) { charged } else { Millis::ZERO }
        });
        let gained = glass.filter(|_| session.cycle_started_at().is_some()).unwrap_or_default();
        segments.main += gained;
        let _ = charged;
        assert_eq!(segments, ticking.clocks[clock].segments(), "segments of {place}: {session:?}\n{self:?}");
        let (left, above) = ticking.left(clock, active.is_some_and(|one| one.clock == clock));
        // A turn that ended with the session's time stands at zero, whatever its clock has.
        if session.status.is_final() {
            return;
        }
        let shown = match left {
            Some(left) => i128::from(left) + i128::from(elapsed.as_ms()) - i128::from(gained.as_ms()),
            None if runs && session.cycle_started_at().is_some() => return,
            None => i128::from(above),
        };
        let flagged = self.people[place].flagged && is_active;
        let expected = if flagged { 0 } else { shown };
        assert_eq!(i128::from(session.shown_time(place).as_ms()), expected, "what {place} has: {session:?}\n{self:?}");
    }
}
