//! What a stage has of each segment, and what a completed turn gives back. Does not know what people call it.

use super::super::time::Millis;

/// When a period is full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Refill {
    /// After every completed turn, as in byoyomi.
    #[default]
    EveryMove,
    /// After the last turn that the period asks for, as in canadian.
    EveryBlock,
}

/// One stage. What a system does not have is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stage {
    /// Main time that comes with the stage.
    pub base: Millis,
    /// Main time that comes with the stage when a clock begins with it.
    pub first: Millis,
    /// Main time that a completed turn earns.
    pub increment: Millis,
    /// Up to where an increment is given.
    pub cap: Option<Millis>,
    /// Free time of each turn.
    pub free: Millis,
    /// How much of what it used a completed turn gets back.
    pub refund: Millis,
    /// Periods after the main time.
    pub periods: u64,
    /// Their length.
    pub period: Millis,
    /// Turns that a period asks for.
    pub moves_per_period: u64,
    /// When a period is full again.
    pub refill: Refill,
    /// How far below zero a clock may go, after all else; `None` is without end.
    pub allowance: Option<Millis>,
    /// What that costs.
    pub penalty: Option<Penalty>,
    /// Whether another clock gains what main time loses.
    pub transfers: bool,
    /// Completed turns after which the stage ends; without them it ends with its main time, or never if it is the last.
    pub moves: Option<u64>,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            base: Millis::ZERO,
            first: Millis::ZERO,
            increment: Millis::ZERO,
            cap: None,
            free: Millis::ZERO,
            refund: Millis::ZERO,
            periods: 0,
            period: Millis::ZERO,
            moves_per_period: 1,
            refill: Refill::EveryMove,
            allowance: Some(Millis::ZERO),
            penalty: None,
            transfers: false,
            moves: None,
        }
    }
}

/// What overtime costs; it is shown, and never enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Penalty {
    /// Each part of this length that was begun costs.
    pub per: Millis,
    /// Points of each.
    pub points: u64,
}

impl Penalty {
    /// The points for so much overtime.
    pub fn of(self, over: Millis) -> u64 {
        self.points.saturating_mul(over.as_ms().div_ceil(self.per.as_ms().max(1)))
    }
}
