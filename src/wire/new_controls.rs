//! The time controls of a request to create a session: which clock goes by which control, what it begins with, and what
//! cannot be together. Does not know how a control is written, nor what its own limits are.

mod beginning;
mod given;

use std::sync::Arc;

use crate::engine::{Control, ControlRules, Mode, NewControls, OnTimeout, StageSystem, System};

use super::json_values::field_error;
use super::validation::{FieldProblems, ProblemCode};

use beginning::{Beginning, GroupClocks};
pub(super) use given::{GivenClock, GivenSession, given_clock, given_control};
use given::{GivenControl, add, conflict};

/// Different controls in one session.
const CONTROLS_MAX: usize = 16;
/// What the mode does not have.
fn check_mode(mode: Mode, given: &GivenControl, problems: &mut FieldProblems) {
    if mode == Mode::CountUp {
        return conflict(problems, given.field.clone(), "Clocks that count up have none");
    }
    for (before, one) in given.stages() {
        let (fits, message) = match (mode, one.system) {
            (Mode::PerCycle, System::PerMove { .. }) => (!given.is_staged(), "Turns are all alike"),
            (Mode::PerCycle, _) => (false, "Must be per_move, where nothing is kept from turn to turn"),
            (Mode::Global, System::Absolute { .. } | System::Overtime { .. }) => (true, ""),
            (Mode::Global, _) => (false, "Must be absolute or overtime, where no turn is completed"),
            (Mode::PerParticipant | Mode::PerGroup | Mode::CountUp, _) => (true, ""),
        };
        if !fits {
            conflict(problems, given.at(&format!("{before}system")), message);
        }
        if mode == Mode::Global && one.moves.is_some() {
            conflict(problems, given.at(&format!("{before}moves")), "No turn is completed where one clock is for all");
        }
    }
}

impl GivenSession<'_> {
    /// Whether anybody has a control.
    pub(super) fn is_controlled(&self) -> bool {
        self.all_controls().next().is_some()
    }

    fn all_controls(&self) -> impl Iterator<Item = &GivenControl> {
        let own = self.clocks.iter().filter_map(|clock| clock.control.as_ref());
        let of_groups = self.groups.iter().filter_map(|(_, clock)| clock.control.as_ref());
        self.control.into_iter().chain(own).chain(of_groups)
    }

    /// What the session begins with; `None` without controls, and when there are problems.
    pub(super) fn new_controls(&self, problems: &mut FieldProblems) -> Option<NewControls> {
        if !self.is_controlled() {
            self.refuse_without_control(problems);
            return None;
        }
        let found = problems.len();
        for given in self.all_controls() {
            check_mode(self.mode, given, problems);
        }
        self.check_advance(problems);
        self.check_glasses(problems);
        let beginnings: Option<Vec<_>> = self.beginnings(problems);
        let (mut controls, mut by_participant, mut clocks) = (Vec::<Control>::new(), Vec::new(), Vec::new());
        for beginning in beginnings? {
            let Some((control, clock)) = beginning.begin(problems) else { continue };
            let known = controls.iter().position(|known| *known == control);
            by_participant.push(known.unwrap_or(controls.len()));
            clocks.push(clock);
            if known.is_none() {
                controls.push(control);
            }
        }
        if controls.len() > CONTROLS_MAX {
            let message = format!("Must have at most {CONTROLS_MAX} different time controls");
            add(problems, "participants".to_owned(), field_error(ProblemCode::TooBig, message));
        }
        let rules = Arc::new(ControlRules::new(controls, by_participant)?);
        (problems.len() == found).then_some(NewControls { rules, clocks, total_time: self.total_time })
    }

    fn refuse_without_control(&self, problems: &mut FieldProblems) {
        let of_groups = self.groups.iter().map(|(_, clock)| clock).enumerate().map(|(at, clock)| ("groups", at, clock));
        let own = self.clocks.iter().enumerate().map(|(at, clock)| ("participants", at, clock));
        for (array, at, clock) in own.chain(of_groups) {
            if let Some(member) = clock.first_member() {
                conflict(problems, format!("{array}.{at}.{member}"), "Counts with a time_control only");
            }
        }
    }

    /// Where flags begin the next turn, there must be one, and they must come to an end.
    fn check_advance(&self, problems: &mut FieldProblems) {
        if self.on_timeout != OnTimeout::Advance {
            return;
        }
        if self.mode == Mode::Global {
            conflict(problems, "on_timeout".to_owned(), "Must not be advance: one clock is for all");
        }
        for given in self.all_controls().filter(|given| given.control.cannot_advance()) {
            match given.endless_stage() {
                Some(path) => {
                    conflict(problems, given.at(&path), "Must have an end where flags advance");
                }
                None => conflict(problems, "on_timeout".to_owned(), "Must not be advance with an hourglass"),
            }
        }
        if self.total_time.is_none() && self.all_controls().any(|given| given.control.renews()) {
            let message = "Required where flags advance and each turn has time of its own";
            add(problems, "total_time_ms".to_owned(), field_error(ProblemCode::InvalidType, message));
        }
    }

    /// An hourglass is two clocks.
    fn check_glasses(&self, problems: &mut FieldProblems) {
        let is_glass = |given: &&GivenControl| {
            matches!(given.control.given(), [StageSystem { system: System::Hourglass { .. }, .. }])
        };
        let Some(glass) = self.all_controls().find(is_glass) else { return };
        let mut groups: Vec<_> = self.participants.iter().filter_map(|one| one.group).collect();
        groups.sort_unstable();
        groups.dedup();
        let clocks = match self.mode {
            Mode::PerGroup => groups.len() + self.participants.iter().filter(|one| one.group.is_none()).count(),
            Mode::PerParticipant | Mode::PerCycle | Mode::Global | Mode::CountUp => self.participants.len(),
        };
        if clocks != 2 {
            conflict(problems, glass.at("system"), "An hourglass has two clocks");
        } else if let Some(other) = self.all_controls().find(|given| !is_glass(given)) {
            conflict(problems, other.at("system"), "The other clock is an hourglass");
        }
    }

    /// How each participant's clock begins; `None` when there are problems.
    fn beginnings(&self, problems: &mut FieldProblems) -> Option<Vec<Beginning<'_>>> {
        let found = problems.len();
        let mut groups = GroupClocks::of(self, problems);
        let mut all = Vec::with_capacity(self.participants.len());
        for (position, (one, own)) in self.participants.iter().zip(self.clocks).enumerate() {
            let field = format!("participants.{position}");
            let beginning = match (self.mode, one.group) {
                (Mode::PerGroup, Some(group)) => groups.beginning(self, group, own, field, problems),
                (Mode::Global, _) => {
                    if let Some(member) = own.first_member() {
                        conflict(problems, format!("{field}.{member}"), "One clock is for all");
                    }
                    let all = GivenClock { total_time: self.total_time, ..GivenClock::default() };
                    Beginning::of(self.control, &all, String::new())
                }
                (Mode::PerParticipant | Mode::PerGroup | Mode::PerCycle | Mode::CountUp, _) => {
                    Beginning::of(own.control.as_ref().or(self.control), own, field)
                }
            };
            match beginning {
                Ok(beginning) => all.push(beginning),
                Err(field) => add(problems, field, field_error(ProblemCode::InvalidType, "Required")),
            }
        }
        (problems.len() == found).then_some(all)
    }
}
