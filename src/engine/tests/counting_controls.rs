//! Clocks under time controls for sessions that count: each ticks, and a turn may have an end of its own. Written from what
//! the controls promise. Does not know sessions.

use super::super::{Control, Mode, NewControls, Segments, System};
use super::ticking::{Mutant, Ticking};

/// The clocks of a session that counts.
#[derive(Clone, Debug)]
pub(super) struct TickingClocks {
    /// Of each participant.
    pub(super) controls: Vec<Control>,
    pub(super) clocks: Vec<Ticking>,
    /// What the turn in progress has at most, whatever its clock has.
    pub(super) turn_left: Option<u64>,
}

impl TickingClocks {
    /// The clocks that participants point at.
    pub(super) fn new(new: &NewControls, points_at: &[usize]) -> Self {
        let controls: Vec<_> = (0..points_at.len()).map(|place| new.rules.control(place).clone()).collect();
        let count = points_at.iter().max().map_or(0, |last| last + 1);
        let first = |clock| points_at.iter().position(|other| *other == clock).expect("somebody points at it");
        let clock = |clock| {
            let place = first(clock);
            let more = new.clocks[place].main.as_ms() - Segments::new(&controls[place]).main.as_ms();
            let mut ticking = Ticking::new(&controls[place]);
            ticking.add_main(more);
            ticking
        };
        Self { clocks: (0..count).map(clock).collect(), controls, turn_left: None }
    }

    /// From now on all clocks are wrong in one thing.
    pub(super) fn mutate(&mut self, mutant: Mutant) {
        self.clocks.iter_mut().for_each(|clock| clock.mutant = Some(mutant));
    }

    /// A millisecond of somebody's turn.
    pub(super) fn tick(&mut self, clock: usize) {
        let is_glass = matches!(self.clocks[clock].system(), System::Hourglass { .. });
        if self.clocks[clock].tick() && is_glass && self.clocks.len() > 1 {
            self.clocks[1 - clock].add_main(1);
        }
        self.turn_left = self.turn_left.map(|left| left - 1);
    }

    /// Whether the turn in progress is over.
    pub(super) fn is_over(&self, clock: usize) -> bool {
        self.clocks[clock].is_flagged() || self.turn_left == Some(0)
    }

    /// Whether somebody has another turn although the last one flagged.
    pub(super) fn has_own_turns(&self, clock: usize) -> bool {
        has_own_turns(self.clocks[clock].system())
    }

    /// Whether turns may follow each other for ever.
    pub(super) fn can_go_on_for_ever(&self, mode: Mode) -> bool {
        let own = |control: &Control| control.given().iter().any(|one| has_own_turns(one.system));
        mode == Mode::PerCycle || self.controls.iter().any(own)
    }

    /// How many milliseconds a turn of the clock has, by counting them; `None` is without end, and then what lies above zero.
    pub(super) fn left(&self, clock: usize, is_active: bool) -> (Option<u64>, u64) {
        let mut ticking = self.clocks[clock].clone();
        let most = if is_active { self.turn_left } else { None };
        let above = ticking.main();
        if ticking.is_endless() && most.is_none() {
            return (None, above);
        }
        let mut count = 0;
        while !ticking.is_flagged() && most != Some(count) {
            ticking.tick();
            count += 1;
        }
        (Some(count), above)
    }
}

/// Whether each turn has time of its own.
fn has_own_turns(system: System) -> bool {
    match system {
        System::PerMove { move_time } | System::Bank { move_time, .. } => move_time.as_ms() > 0,
        System::Absolute { .. }
        | System::Fischer { .. }
        | System::Delay { .. }
        | System::Bronstein { .. }
        | System::Byoyomi { .. }
        | System::Canadian { .. }
        | System::Overtime { .. }
        | System::Hourglass { .. } => false,
    }
}
