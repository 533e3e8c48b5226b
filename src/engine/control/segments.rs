//! What a clock has: its place in the control, and what is left of each segment. Does not know how it got there.

use super::super::time::Millis;
use super::stage::Stage;
use super::staged::Control;

/// A clock under a control, at the instant at which its turn began or went on. A pause keeps this and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Segments {
    /// Which stage, from 0.
    pub stage: usize,
    /// Turns until the stage ends; 0 when it does not end by turns.
    pub moves_left: u64,
    /// Free time left in the turn.
    pub free: Millis,
    /// Main time left.
    pub main: Millis,
    /// What the current period has left.
    pub period: Millis,
    /// Periods left, the current one included.
    pub periods: u64,
    /// Turns that the period still asks for.
    pub period_moves: u64,
    /// Time used below zero.
    pub over: Millis,
    /// Completed turns.
    pub moves: u64,
}

impl Segments {
    /// The clock that `control` begins with.
    pub fn new(control: &Control) -> Self {
        Self::with_base(control, control.stage(0).base)
    }

    /// The clock that `control` begins with when its first stage brings `base`.
    pub fn with_base(control: &Control, base: Millis) -> Self {
        let first = control.stage(0);
        let mut clock = Self::default();
        clock.enter(0, first);
        Self { main: first.first + base, free: first.free, ..clock }
    }

    /// How long a turn may run on; `None` is without end.
    pub fn budget(&self, control: &Control) -> Option<Millis> {
        let mut sum = self.free + self.main;
        let mut stage = self.stage;
        let (mut period, mut periods) = (self.period, self.periods);
        while let Some(next) = control.after_time(stage) {
            let entered = control.stage(next);
            sum += entered.base;
            (stage, period, periods) = (next, entered.period, entered.periods);
        }
        let last = control.stage(stage);
        if periods > 0 {
            sum += period + last.period.times(periods - 1);
        }
        Some(sum + (last.allowance? - self.over))
    }

    /// Whether a clock under `control` can have this.
    pub(in crate::engine) fn is_within(&self, control: &Control) -> bool {
        let stage = control.stage(self.stage);
        self.stage < control.given().len()
            && self.moves_left <= stage.moves.unwrap_or_default()
            && self.periods <= stage.periods
            && self.period <= stage.period
            && self.period_moves <= stage.moves_per_period
            && stage.allowance.is_none_or(|allowance| self.over <= allowance)
    }

    /// Whether nothing is left.
    pub fn is_flagged(&self, control: &Control) -> bool {
        self.budget(control) == Some(Millis::ZERO)
    }

    /// What the clock shows where it may go below zero: main time left, less what was used below zero.
    pub fn balance_ms(&self) -> i64 {
        let signed = |length: Millis| i64::try_from(length.as_ms()).unwrap_or(i64::MAX);
        signed(self.main) - signed(self.over)
    }

    /// Points for overtime.
    pub fn penalty(&self, control: &Control) -> Option<u64> {
        control.stage(self.stage).penalty.map(|penalty| penalty.of(self.over))
    }

    /// A turn begins with its free time, also after one that flagged.
    pub fn renew(&mut self, control: &Control) {
        self.free = control.stage(self.stage).free;
    }

    /// Goes on to a stage. What was saved is kept; the free time is that of the turn in progress.
    pub(super) fn enter(&mut self, position: usize, stage: &Stage) {
        self.stage = position;
        self.moves_left = stage.moves.unwrap_or_default();
        self.main += stage.base;
        self.period = if stage.periods > 0 { stage.period } else { Millis::ZERO };
        self.periods = stage.periods;
        self.period_moves = if stage.periods > 0 { stage.moves_per_period } else { 0 };
    }
}
