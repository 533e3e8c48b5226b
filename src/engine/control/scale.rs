//! A control whose lengths are those of another one, so many percent of them. Does not know who has more time than others.

use super::super::time::Millis;
use super::stage::Penalty;
use super::staged::{Control, StageSystem};
use super::system::System;

impl Control {
    /// The control with every length but caps at `pct` percent, rounded down.
    pub fn scaled(&self, pct: u64) -> Self {
        let given = self.given().iter().map(|one| StageSystem { moves: one.moves, system: one.system.scaled(pct) });
        Self::staged(given.collect(), self.repeats())
    }
}

impl System {
    fn scaled(self, pct: u64) -> Self {
        let of = |length: Millis| length.percent(pct);
        match self {
            System::Absolute { base } => System::Absolute { base: of(base) },
            System::Fischer { base, increment, cap, from_start } => {
                System::Fischer { base: of(base), increment: of(increment), cap, from_start }
            }
            System::Delay { base, delay } => System::Delay { base: of(base), delay: of(delay) },
            System::Bronstein { base, delay, flags_at_main } => {
                System::Bronstein { base: of(base), delay: of(delay), flags_at_main }
            }
            System::PerMove { move_time } => System::PerMove { move_time: of(move_time) },
            System::Byoyomi { base, period, periods, increment } => {
                System::Byoyomi { base: of(base), period: of(period), periods, increment: of(increment) }
            }
            System::Canadian { base, period, moves } => System::Canadian { base: of(base), period: of(period), moves },
            System::Bank { move_time, bank, increment, cap } => {
                System::Bank { move_time: of(move_time), bank: of(bank), increment: of(increment), cap }
            }
            System::Overtime { base, overtime, penalty, increment } => System::Overtime {
                base: of(base),
                overtime: overtime.map(of),
                penalty: penalty.map(|penalty| Penalty { per: of(penalty.per), ..penalty }),
                increment: of(increment),
            },
            System::Hourglass { base, delay } => System::Hourglass { base: of(base), delay: of(delay) },
        }
    }
}
