//! What time uses up of a clock: the segments in their order. Additive: two stretches come to what one of both does, so a
//! pause between them changes nothing. Does not know whether the turn is over.

use super::super::time::Millis;
use super::segments::Segments;
use super::staged::Control;

impl Segments {
    /// Uses up `elapsed` of the turn; beyond the budget there is nothing to use. Gives back how much of it was main time.
    pub fn fold(&mut self, control: &Control, elapsed: Millis) -> Millis {
        let mut rest = take(&mut self.free, elapsed);
        let mut charged = Millis::ZERO;
        loop {
            let before = rest;
            rest = take(&mut self.main, rest);
            charged += before - rest;
            match control.after_time(self.stage) {
                Some(next) if self.main.is_zero() && self.free.is_zero() => self.enter(next, control.stage(next)),
                Some(_) | None => break,
            }
        }
        rest = self.fold_periods(control, rest);
        let stage = control.stage(self.stage);
        self.over = match stage.allowance {
            Some(allowance) => (self.over + rest).min(allowance),
            None => self.over + rest,
        };
        charged
    }

    /// A period is lost at its end, exactly. Gives back what is left after all of them.
    fn fold_periods(&mut self, control: &Control, elapsed: Millis) -> Millis {
        if self.periods == 0 || elapsed.is_zero() {
            return elapsed;
        }
        if elapsed < self.period {
            self.period = self.period - elapsed;
            return Millis::ZERO;
        }
        let stage = control.stage(self.stage);
        let beyond = elapsed - self.period;
        let lost = 1 + beyond.whole(stage.period.max(Millis::new(1)));
        self.period_moves = stage.moves_per_period;
        if lost >= self.periods {
            let rest = beyond - stage.period.times(self.periods - 1);
            (self.periods, self.period) = (0, Millis::ZERO);
            return rest;
        }
        self.periods -= lost;
        self.period = stage.period - (beyond - stage.period.times(lost - 1));
        Millis::ZERO
    }
}

/// Takes `wanted` of what is there; gives back how much was missing.
fn take(segment: &mut Millis, wanted: Millis) -> Millis {
    let taken = wanted.min(*segment);
    *segment = *segment - taken;
    wanted - taken
}
