//! Shrinking: the smallest plan of a seed under which the same check fails. Does not know checks.

use std::time::Duration;

use super::checks::{self, Violation};
use super::plan::Plan;
use super::run;

/// What fails first under a plan of a seed.
pub fn failure(seed: u64, plan: &Plan) -> Vec<Violation> {
    checks::check(&run::run(seed, plan.clone()))
}

/// A plan as small as can be found under which the check fails that `plan` fails first.
pub fn shrink(seed: u64, plan: Plan) -> (Plan, Vec<Violation>) {
    let (mut smallest, mut violations) = (plan.clone(), failure(seed, &plan));
    let Some(check) = violations.first().map(|violation| violation.check) else { return (smallest, violations) };
    loop {
        let smaller = smallest.smaller().into_iter().find_map(|plan| {
            let found = failure(seed, &plan);
            found.iter().any(|violation| violation.check == check).then_some((plan, found))
        });
        match smaller {
            Some((plan, found)) => (smallest, violations) = (plan, found),
            None => return (smallest, violations),
        }
    }
}

impl Plan {
    /// Plans that are a little smaller, the boldest first.
    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut with = |is_smaller: bool, change: &dyn Fn(&mut Self)| {
            if is_smaller {
                let mut plan = self.clone();
                change(&mut plan);
                all.push(plan);
            }
        };
        for index in 0..self.disturbances.len() {
            with(true, &|plan| {
                plan.disturbances.remove(index);
            });
        }
        with(self.connections.cut_before.is_some(), &|plan| plan.connections.cut_before = None);
        with(self.connections.cut_after.is_some(), &|plan| plan.connections.cut_after = None);
        with(self.connections.stall.is_some(), &|plan| plan.connections.stall = None);
        with(self.database.away.is_some(), &|plan| plan.database.away = None);
        with(self.database.slow.is_some(), &|plan| plan.database.slow = None);
        with(self.database.lost_answer.is_some(), &|plan| plan.database.lost_answer = None);
        with(self.database.refuses.is_some(), &|plan| plan.database.refuses = None);
        with(self.instances > 1, &|plan| plan.instances -= 1);
        with(self.sessions > 1, &|plan| plan.sessions -= 1);
        with(self.clients > 1, &|plan| plan.clients -= 1);
        with(self.partitions > 1, &|plan| plan.partitions = 1);
        with(self.length > Duration::from_millis(200), &|plan| plan.length = plan.length * 3 / 4);
        all
    }
}
