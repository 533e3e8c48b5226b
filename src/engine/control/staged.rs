//! A time control as a list of stages, and which stage follows which. Does not know what a clock has left.

use super::super::time::Millis;
use super::stage::Stage;
use super::system::System;

/// A stage as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StageSystem {
    /// Completed turns after which it ends.
    pub moves: Option<u64>,
    /// Its system.
    pub system: System,
}

/// A time control: one stage or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Control {
    /// As it was given.
    given: Box<[StageSystem]>,
    /// What that comes to, one for each.
    stages: Box<[Stage]>,
    /// Whether the last stage comes again and again.
    repeat: bool,
}

impl Control {
    /// A control without stages.
    pub fn of(system: System) -> Self {
        Self::staged([StageSystem { moves: None, system }].into(), false)
    }

    /// A control of `given`, at least one. Whoever gives them holds to this: a stage without `moves` that is not the last has
    /// main time, periods and an allowance belong to the last stage, and a last stage that comes again has `moves`.
    pub fn staged(given: Box<[StageSystem]>, repeat: bool) -> Self {
        let stages = given.iter().map(|one| one.system.stage(one.moves)).collect();
        Self { given, stages, repeat }
    }

    /// The stages as they were given.
    pub fn given(&self) -> &[StageSystem] {
        &self.given
    }

    /// Whether the last stage comes again and again.
    pub fn repeats(&self) -> bool {
        self.repeat
    }

    /// The stage at `position`; past the end the last one.
    pub fn stage(&self, position: usize) -> &Stage {
        &self.stages[position.min(self.stages.len() - 1)]
    }

    /// Whether a turn has time of its own in some stage, whatever became of the one before.
    pub fn renews(&self) -> bool {
        (0..self.stages.len()).any(|position| self.renews_in(position))
    }

    /// Whether a turn has time of its own in the stage at `position`, whatever became of the one before.
    pub(in crate::engine) fn renews_in(&self, position: usize) -> bool {
        let own = match self.given[position.min(self.given.len() - 1)].system {
            System::PerMove { move_time } | System::Bank { move_time, .. } => move_time,
            System::Absolute { .. }
            | System::Fischer { .. }
            | System::Delay { .. }
            | System::Bronstein { .. }
            | System::Byoyomi { .. }
            | System::Canadian { .. }
            | System::Overtime { .. }
            | System::Hourglass { .. } => Millis::ZERO,
        };
        !own.is_zero()
    }

    /// Whether a flag under it cannot begin somebody's turn: there is none, or the other clock ends, too.
    pub fn cannot_advance(&self) -> bool {
        self.stages.iter().any(|stage| stage.transfers || stage.allowance.is_none())
    }

    /// The stage that follows when a turn completes the stage at `position`.
    pub(super) fn after_moves(&self, position: usize) -> Option<usize> {
        if position + 1 < self.stages.len() { Some(position + 1) } else { self.repeat.then_some(position) }
    }

    /// The stage that follows when the main time of the one at `position` is gone.
    pub(super) fn after_time(&self, position: usize) -> Option<usize> {
        (position + 1 < self.stages.len() && self.stages[position].moves.is_none()).then_some(position + 1)
    }
}
