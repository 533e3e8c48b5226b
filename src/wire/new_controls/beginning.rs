//! How a clock begins under a control: with so many percent of it, a base of its own and more time on top. Does not know
//! whose clock it is.

use std::collections::HashMap;

use crate::engine::{Control, GroupId, Millis, Segments, System};

use super::super::json_values::field_error;
use super::super::time_control::{self, LENGTH_MAX};
use super::super::validation::{FieldProblems, ProblemCode};
use super::given::{GivenClock, GivenControl, GivenSession, WHOLE, add, conflict};

/// A clock, as it is to begin.
#[derive(Clone)]
pub(super) struct Beginning<'g> {
    given: &'g GivenControl,
    base: Option<Millis>,
    multiplier: Option<u64>,
    extra: Option<Millis>,
    /// What its members are inside of; empty for the session's.
    inside: String,
}

impl<'g> Beginning<'g> {
    /// As it was given for `clock`, under `control`; the error is the field where a control is missing.
    pub(super) fn of(control: Option<&'g GivenControl>, clock: &GivenClock, inside: String) -> Result<Self, String> {
        let GivenClock { total_time, multiplier, extra, .. } = clock;
        match control {
            Some(given) => Ok(Self { given, base: *total_time, multiplier: *multiplier, extra: *extra, inside }),
            None => Err(member(&inside, "time_control")),
        }
    }

    /// The control that it comes to, and the clock at its beginning.
    pub(super) fn begin(&self, problems: &mut FieldProblems) -> Option<(Control, Segments)> {
        let multiplier = self.multiplier.unwrap_or(WHOLE);
        let control = match multiplier {
            WHOLE => self.given.control.clone(),
            pct => self.given.control.scaled(pct),
        };
        let found = problems.len();
        if let Some(System::PerMove { .. }) = self.given.control.given().first().map(|one| one.system) {
            for (is_given, name) in [(self.base.is_some(), "total_time_ms"), (self.extra.is_some(), "extra_ms")] {
                if is_given && !self.inside.is_empty() {
                    conflict(problems, member(&self.inside, name), "Turns that have time of their own have no other");
                }
            }
        }
        let base = self.base.map_or(control.stage(0).base, |base| base.percent(multiplier));
        let mut clock = Segments::with_base(&control, base);
        clock.main += self.extra.unwrap_or_default();
        if let Some(field_error) = time_control::multiplied(&control, &clock) {
            add(problems, self.changed(), field_error);
        } else if base + self.extra.unwrap_or_default() > Millis::new(LENGTH_MAX) {
            let message = format!("Must not come to more than {LENGTH_MAX} ms");
            add(problems, self.changed(), field_error(ProblemCode::TooBig, message));
        }
        (problems.len() == found).then_some((control, clock))
    }

    /// The member that makes it another one than was given.
    fn changed(&self) -> String {
        let name = match (self.multiplier, self.base) {
            (Some(_), _) => "multiplier_pct",
            (None, Some(_)) => "total_time_ms",
            (None, None) => "extra_ms",
        };
        member(&self.inside, name)
    }
}

fn member(inside: &str, name: &str) -> String {
    if inside.is_empty() { name.to_owned() } else { format!("{inside}.{name}") }
}

/// The clocks of groups that have a name.
pub(super) struct GroupClocks<'g> {
    /// What was given for each of them itself, and where.
    own: HashMap<GroupId, (usize, &'g GivenClock)>,
    /// What the first member of each was given, and where.
    first: HashMap<GroupId, (String, &'g GivenClock)>,
    /// What all members bring along together.
    sums: HashMap<GroupId, Option<Millis>>,
}

impl<'g> GroupClocks<'g> {
    pub(super) fn of(session: &GivenSession<'g>, problems: &mut FieldProblems) -> Self {
        let own = session.groups.iter().enumerate().map(|(at, (id, clock))| (*id, (at, clock))).collect();
        let mut sums = HashMap::<GroupId, Option<Millis>>::new();
        for (position, (one, clock)) in session.participants.iter().zip(session.clocks).enumerate() {
            let Some(group) = one.group else { continue };
            let sum = sums.entry(group).or_insert_with(|| clock.total_time.map(|_| Millis::ZERO));
            match (sum, clock.total_time) {
                (Some(sum), Some(time)) => *sum += time,
                (None, None) => {}
                (Some(_), None) | (None, Some(_)) => {
                    let message = "All members of a group bring time along, or none does";
                    conflict(problems, format!("participants.{position}.total_time_ms"), message);
                }
            }
        }
        Self { own, first: HashMap::new(), sums }
    }

    /// How the clock of a member begins, which is that of all members.
    pub(super) fn beginning(
        &mut self,
        session: &GivenSession<'g>,
        group: GroupId,
        member: &'g GivenClock,
        field: String,
        problems: &mut FieldProblems,
    ) -> Result<Beginning<'g>, String> {
        let (_, first) = self.first.entry(group).or_insert_with(|| (field.clone(), member));
        let same = (&member.control.as_ref().map(|given| &given.control), member.multiplier, member.extra)
            == (&first.control.as_ref().map(|given| &given.control), first.multiplier, first.extra);
        let first: &'g GivenClock = first;
        let own = self.own.get(&group);
        let of_group = own.filter(|(_, clock)| clock.first_member().is_some());
        let name = member.first_member().or(first.first_member()).unwrap_or("time_control");
        if !same || of_group.is_some() && member.first_member().is_some() {
            conflict(problems, format!("{field}.{name}"), "Members of a group share a clock: say it in groups");
        }
        let (said, inside) = match of_group {
            Some((at, clock)) => (*clock, format!("groups.{at}")),
            None => (first, field),
        };
        let total_time = own.and_then(|(_, clock)| clock.total_time).or(self.sums.get(&group).copied().flatten());
        let clock = GivenClock { total_time, ..said.clone() };
        let control = said.control.as_ref().or(first.control.as_ref()).or(session.control);
        Beginning::of(control, &clock, inside)
    }
}
