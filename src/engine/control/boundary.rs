//! The instants inside a turn at which something runs out: computed, like warnings, and never stored. Does not know who is
//! told of them.

use super::super::time::Millis;
use super::segments::Segments;
use super::staged::Control;

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BoundaryKind {
    /// The free time of the turn.
    FreeOver,
    /// The main time, and periods or overtime follow.
    MainOver,
    /// A stage, and the next one follows in the same turn.
    StageOver,
    /// A period, and another one follows.
    PeriodLost {
        /// How many are left.
        periods: u64,
    },
    /// Everything.
    Flag,
}

/// One of these instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Boundary {
    /// How long after the clock's own instant, if the turn goes on.
    pub after: Millis,
    /// What runs out.
    pub kind: BoundaryKind,
}

impl Segments {
    /// Everything that runs out if the turn goes on, in order; at most a few for each stage and one for each period.
    pub fn boundaries(&self, control: &Control) -> Vec<Boundary> {
        let mut found = Vec::new();
        let mut sum = self.free;
        if !self.free.is_zero() && self.budget(control) != Some(sum) {
            found.push(Boundary { after: sum, kind: BoundaryKind::FreeOver });
        }
        let (mut stage, mut main, mut period, mut periods) = (self.stage, self.main, self.period, self.periods);
        while let Some(next) = control.after_time(stage) {
            sum += main;
            found.push(Boundary { after: sum, kind: BoundaryKind::StageOver });
            let entered = control.stage(next);
            (stage, main, period, periods) = (next, entered.base, entered.period, entered.periods);
        }
        let last = control.stage(stage);
        let allowance = last.allowance.map(|allowance| allowance - self.over);
        sum += main;
        if !main.is_zero() && (periods > 0 || allowance != Some(Millis::ZERO)) {
            found.push(Boundary { after: sum, kind: BoundaryKind::MainOver });
        }
        while periods > 0 {
            sum += period;
            (period, periods) = (last.period, periods - 1);
            if periods > 0 || allowance != Some(Millis::ZERO) {
                found.push(Boundary { after: sum, kind: BoundaryKind::PeriodLost { periods } });
            }
        }
        if let Some(allowance) = allowance {
            found.push(Boundary { after: sum + allowance, kind: BoundaryKind::Flag });
        }
        found
    }
}
