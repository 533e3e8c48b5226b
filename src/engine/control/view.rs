//! What a display shows of a clock at an instant: which segment runs, and the number that counts down. Does not know when
//! now is.

use super::super::time::Millis;
use super::segments::Segments;
use super::staged::Control;
use super::system::System;

/// Which segment of a turn runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockPhase {
    /// Free time.
    Free,
    /// Main time.
    Main,
    /// A period.
    Period,
    /// Below zero.
    Overtime,
    /// Nothing is left.
    Flagged,
}

impl ClockPhase {
    /// The phase's name to clients.
    pub const fn name(self) -> &'static str {
        match self {
            ClockPhase::Free => "free",
            ClockPhase::Main => "main",
            ClockPhase::Period => "period",
            ClockPhase::Overtime => "overtime",
            ClockPhase::Flagged => "flagged",
        }
    }
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockView {
    /// Which segment runs.
    pub phase: ClockPhase,
    /// The number that counts down, in ms; below zero in overtime.
    pub counts_ms: i64,
    /// Periods left.
    pub periods: u64,
    /// Turns until the stage ends, or that the period asks for.
    pub moves_left: u64,
    /// How long until the flag; `None` is without end.
    pub to_flag: Option<Millis>,
}

impl Segments {
    /// What is shown `elapsed` after the clock's own instant, while its turn runs.
    pub fn view(&self, control: &Control, elapsed: Millis) -> ClockView {
        let mut now = *self;
        now.fold(control, elapsed);
        let to_flag = now.budget(control);
        let (phase, counts) = now.running(control, to_flag);
        let counts_ms = match phase {
            ClockPhase::Overtime => now.balance_ms(),
            ClockPhase::Free | ClockPhase::Main | ClockPhase::Period | ClockPhase::Flagged => {
                i64::try_from(counts.as_ms()).unwrap_or(i64::MAX)
            }
        };
        let moves_left = if now.main.is_zero() && now.periods > 0 { now.period_moves } else { now.moves_left };
        ClockView { phase, counts_ms, periods: now.periods, moves_left, to_flag }
    }

    /// The first segment that has something left.
    fn running(&self, control: &Control, to_flag: Option<Millis>) -> (ClockPhase, Millis) {
        let given = control.given()[self.stage.min(control.given().len() - 1)].system;
        if to_flag == Some(Millis::ZERO) {
            return (ClockPhase::Flagged, Millis::ZERO);
        }
        match given {
            // One number, as on a clock that adds the delay when the turn begins.
            System::Bronstein { .. } => return (ClockPhase::Main, self.free + self.main),
            System::Absolute { .. }
            | System::Fischer { .. }
            | System::Delay { .. }
            | System::PerMove { .. }
            | System::Byoyomi { .. }
            | System::Canadian { .. }
            | System::Bank { .. }
            | System::Overtime { .. }
            | System::Hourglass { .. } => {}
        }
        if !self.free.is_zero() {
            (ClockPhase::Free, self.free)
        } else if !self.main.is_zero() {
            (ClockPhase::Main, self.main)
        } else if self.periods > 0 {
            (ClockPhase::Period, self.period)
        } else {
            (ClockPhase::Overtime, Millis::ZERO)
        }
    }
}
