//! The systems that people know by name, each with the lengths that it is made of. Does not know how a turn uses them up.

use super::super::time::Millis;
use super::stage::{Penalty, Refill, Stage};

/// A time control without stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum System {
    /// One length for all turns.
    Absolute {
        /// The length.
        base: Millis,
    },
    /// A completed turn earns an increment.
    Fischer {
        /// What a clock begins with.
        base: Millis,
        /// What a completed turn earns.
        increment: Millis,
        /// Up to where an increment is given; it takes nothing away.
        cap: Option<Millis>,
        /// Whether the first turn has an increment already.
        from_start: bool,
    },
    /// A turn begins with free time.
    Delay {
        /// What a clock has beside it.
        base: Millis,
        /// The free time.
        delay: Millis,
    },
    /// A completed turn gets back what it used, up to the delay.
    Bronstein {
        /// What a clock begins with.
        base: Millis,
        /// How much a turn gets back at most.
        delay: Millis,
        /// Whether a turn may use no more than the clock has: then the delay is given afterwards only.
        flags_at_main: bool,
    },
    /// Each turn has its own time, and nothing is kept.
    PerMove {
        /// A turn's time.
        move_time: Millis,
    },
    /// Periods follow the main time; a turn that ends within one has it back.
    Byoyomi {
        /// The main time.
        base: Millis,
        /// A period.
        period: Millis,
        /// How many.
        periods: u64,
        /// What a completed turn earns while there is main time.
        increment: Millis,
    },
    /// After the main time, so many turns within each period.
    Canadian {
        /// The main time.
        base: Millis,
        /// The period.
        period: Millis,
        /// Turns that fit into it.
        moves: u64,
    },
    /// Each turn has its own time, and a reserve for all of them.
    Bank {
        /// A turn's time.
        move_time: Millis,
        /// The reserve.
        bank: Millis,
        /// What a completed turn adds to the reserve.
        increment: Millis,
        /// Up to where.
        cap: Option<Millis>,
    },
    /// A clock goes on below zero, at a price.
    Overtime {
        /// What it has above zero.
        base: Millis,
        /// How far it may go; `None` is without end.
        overtime: Option<Millis>,
        /// The price.
        penalty: Option<Penalty>,
        /// What a completed turn earns before overtime.
        increment: Millis,
    },
    /// What one clock loses the other one gains.
    Hourglass {
        /// What each begins with.
        base: Millis,
        /// Free time before it.
        delay: Millis,
    },
}

impl System {
    /// The system's name to clients.
    pub const fn name(self) -> &'static str {
        match self {
            System::Absolute { .. } => "absolute",
            System::Fischer { .. } => "fischer",
            System::Delay { .. } => "delay",
            System::Bronstein { .. } => "bronstein",
            System::PerMove { .. } => "per_move",
            System::Byoyomi { .. } => "byoyomi",
            System::Canadian { .. } => "canadian",
            System::Bank { .. } => "bank",
            System::Overtime { .. } => "overtime",
            System::Hourglass { .. } => "hourglass",
        }
    }

    /// What it comes to.
    pub(super) fn stage(self, moves: Option<u64>) -> Stage {
        let none = Stage { moves, ..Stage::default() };
        match self {
            System::Absolute { base } => Stage { base, ..none },
            System::Fischer { base, increment, cap, from_start } => {
                let first = if from_start { increment } else { Millis::ZERO };
                Stage { base, increment, cap, first, ..none }
            }
            System::Delay { base, delay } => Stage { base, free: delay, ..none },
            System::Bronstein { base, delay, flags_at_main: false } => Stage { base, free: delay, ..none },
            System::Bronstein { base, delay, flags_at_main: true } => Stage { base, refund: delay, ..none },
            System::PerMove { move_time } => Stage { free: move_time, ..none },
            System::Byoyomi { base, period, periods, increment } => {
                Stage { base, increment, period, periods, moves_per_period: 1, refill: Refill::EveryMove, ..none }
            }
            System::Canadian { base, period, moves } => {
                Stage { base, period, periods: 1, moves_per_period: moves, refill: Refill::EveryBlock, ..none }
            }
            System::Bank { move_time, bank, increment, cap } => {
                Stage { free: move_time, base: bank, increment, cap, ..none }
            }
            System::Overtime { base, overtime, penalty, increment } => {
                Stage { base, increment, allowance: overtime, penalty, ..none }
            }
            System::Hourglass { base, delay } => Stage { base, free: delay, transfers: true, ..none },
        }
    }
}
