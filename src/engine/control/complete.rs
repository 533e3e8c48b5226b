//! What a turn gives back that was completed in time. Does not know what it used.

use super::super::time::Millis;
use super::segments::Segments;
use super::stage::{Refill, Stage};
use super::staged::Control;

impl Segments {
    /// Completes a turn that used `turn_used` in all, after it was folded and while there is something left.
    pub fn complete(&mut self, control: &Control, turn_used: Millis) {
        let stage = *control.stage(self.stage);
        let has_main = !self.main.is_zero();
        self.moves += 1;
        self.main += stage.refund.min(turn_used);
        self.reward(&stage, has_main);
        self.refill(&stage, has_main);
        self.count(control, &stage);
        self.free = control.stage(self.stage).free;
    }

    /// An increment is for those who live on their main time.
    fn reward(&mut self, stage: &Stage, has_main: bool) {
        if stage.periods > 0 && !has_main || !self.over.is_zero() {
            return;
        }
        let room = stage.cap.map_or(stage.increment, |cap| cap - self.main);
        self.main += stage.increment.min(room);
    }

    fn refill(&mut self, stage: &Stage, has_main: bool) {
        match stage.refill {
            Refill::EveryMove if self.periods > 0 => self.period = stage.period,
            Refill::EveryBlock if self.periods > 0 && !has_main => {
                self.period_moves = self.period_moves.saturating_sub(1);
                if self.period_moves == 0 {
                    (self.period, self.period_moves) = (stage.period, stage.moves_per_period);
                }
            }
            Refill::EveryMove | Refill::EveryBlock => {}
        }
    }

    /// The stage ends with the last of its turns, and the next one brings its base.
    fn count(&mut self, control: &Control, stage: &Stage) {
        if stage.moves.is_none() {
            return;
        }
        self.moves_left = self.moves_left.saturating_sub(1);
        if let Some(next) = control.after_moves(self.stage).filter(|_| self.moves_left == 0) {
            self.enter(next, control.stage(next));
        }
    }
}
