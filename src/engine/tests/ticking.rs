//! The time controls a second time, the slow way: what a turn may use lies in a row, piece after piece, and every
//! millisecond takes one from the first piece. No sum, no division. Written from what each system promises, so that a
//! mistake has to be made twice to go unnoticed.

use std::collections::VecDeque;

use super::super::{Control, Millis, Segments, StageSystem, System};

/// A piece of what a turn may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Free,
    Main,
    Period,
}

/// What a clock may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// A completed turn earns a millisecond.
    EarnsMore,
    /// Free time that was left is kept beside the new one.
    IsFreeForGood,
    /// Moves in a period are not counted.
    CountsNoBlocks,
    /// A period is full again although the turn was not completed.
    LosesLess,
}

/// One clock that ticks. Times are in ms.
#[derive(Clone, Debug)]
pub(super) struct Ticking {
    given: Vec<StageSystem>,
    repeat: bool,
    /// What is left, in the order in which it is used up.
    row: VecDeque<(Piece, u64)>,
    stage: usize,
    stage_moves: u64,
    block_moves: u64,
    over: u64,
    moves: u64,
    turn: u64,
    pub(super) mutant: Option<Mutant>,
}

impl Ticking {
    pub(super) fn new(control: &Control) -> Self {
        let mut clock = Self {
            given: control.given().to_vec(),
            repeat: control.repeats(),
            row: VecDeque::new(),
            stage: 0,
            stage_moves: 0,
            block_moves: 0,
            over: 0,
            moves: 0,
            turn: 0,
            mutant: None,
        };
        clock.begin_stage(0);
        if let System::Fischer { increment, from_start: true, .. } = clock.system() {
            clock.add_main(increment.as_ms());
        }
        clock.begin_turn();
        clock
    }

    pub(super) fn system(&self) -> System {
        self.given[self.stage].system
    }

    fn ends_by_time(&self) -> bool {
        self.stage + 1 < self.given.len() && self.given[self.stage].moves.is_none()
    }

    /// Main time lies before the periods.
    pub(super) fn add_main(&mut self, more: u64) {
        if more > 0 {
            let at = self.row.iter().take_while(|(piece, _)| *piece == Piece::Free).count();
            self.row.insert(at, (Piece::Main, more));
        }
    }

    fn begin_stage(&mut self, stage: usize) {
        self.stage = stage;
        self.stage_moves = self.given[stage].moves.unwrap_or(0);
        self.row.retain(|(piece, _)| *piece != Piece::Period);
        let (base, periods, period, block) = match self.system() {
            System::Absolute { base }
            | System::Fischer { base, .. }
            | System::Delay { base, .. }
            | System::Bronstein { base, .. }
            | System::Overtime { base, .. }
            | System::Hourglass { base, .. } => (base, 0, Millis::ZERO, 0),
            System::PerMove { .. } => (Millis::ZERO, 0, Millis::ZERO, 0),
            System::Bank { bank, .. } => (bank, 0, Millis::ZERO, 0),
            System::Byoyomi { base, period, periods, .. } => (base, periods, period, 1),
            System::Canadian { base, period, moves } => (base, 1, period, moves),
        };
        self.add_main(base.as_ms());
        self.block_moves = block;
        for _ in 0..periods {
            self.row.push_back((Piece::Period, period.as_ms()));
        }
    }

    /// A turn begins with its own free time.
    pub(super) fn begin_turn(&mut self) {
        self.turn = 0;
        if self.mutant != Some(Mutant::IsFreeForGood) {
            self.row.retain(|(piece, _)| *piece != Piece::Free);
        }
        let free = match self.system() {
            System::Delay { delay, .. }
            | System::Bronstein { delay, flags_at_main: false, .. }
            | System::Hourglass { delay, .. } => delay,
            System::PerMove { move_time } | System::Bank { move_time, .. } => move_time,
            System::Absolute { .. }
            | System::Fischer { .. }
            | System::Bronstein { .. }
            | System::Byoyomi { .. }
            | System::Canadian { .. }
            | System::Overtime { .. } => Millis::ZERO,
        };
        if !free.is_zero() {
            self.row.push_front((Piece::Free, free.as_ms()));
        }
    }

    /// A turn begins whose free time is there already.
    pub(super) fn begin_turn_count(&mut self) {
        self.turn = 0;
    }

    /// How many milliseconds a turn has, by the pieces that are there.
    pub(super) fn left(&self) -> u64 {
        self.row.iter().map(|(_, left)| left).sum()
    }

    pub(super) fn is_flagged(&self) -> bool {
        let nothing_below = match self.system() {
            System::Overtime { overtime, .. } => overtime.is_some_and(|most| self.over == most.as_ms()),
            System::Absolute { .. }
            | System::Fischer { .. }
            | System::Delay { .. }
            | System::Bronstein { .. }
            | System::PerMove { .. }
            | System::Byoyomi { .. }
            | System::Canadian { .. }
            | System::Bank { .. }
            | System::Hourglass { .. } => true,
        };
        self.row.is_empty() && nothing_below
    }

    /// Whether it goes on for ever: the last stage does, and no turns are needed to come to it.
    pub(super) fn is_endless(&self) -> bool {
        let to_come = &self.given[self.stage..];
        let comes_by_time = to_come[..to_come.len() - 1].iter().all(|one| one.moves.is_none());
        comes_by_time && matches!(to_come[to_come.len() - 1].system, System::Overtime { overtime: None, .. })
    }

    /// One millisecond of the turn; says whether main time paid for it.
    pub(super) fn tick(&mut self) -> bool {
        if self.is_flagged() {
            return false;
        }
        self.turn += 1;
        let Some((piece, left)) = self.row.front_mut() else {
            self.over += 1;
            return false;
        };
        *left -= 1;
        let (piece, is_gone) = (*piece, *left == 0);
        if is_gone {
            self.row.pop_front();
        }
        match piece {
            Piece::Free => {}
            Piece::Main => {
                if is_gone && self.main() == 0 && self.ends_by_time() {
                    self.begin_stage(self.stage + 1);
                }
                return true;
            }
            Piece::Period => {
                if self.mutant == Some(Mutant::LosesLess) && is_gone {
                    self.add_main(1);
                }
                if let (true, System::Canadian { moves, .. }) = (is_gone, self.system()) {
                    self.block_moves = moves;
                }
            }
        }
        false
    }

    pub(super) fn main(&self) -> u64 {
        self.row.iter().filter(|(piece, _)| *piece == Piece::Main).map(|(_, left)| left).sum()
    }

    fn fill_period(&mut self, full: Millis) {
        if let Some((_, left)) = self.row.iter_mut().find(|(piece, _)| *piece == Piece::Period) {
            *left = full.as_ms();
        }
    }

    /// The turn is completed in time.
    pub(super) fn complete(&mut self) {
        self.moves += 1;
        if self.mutant == Some(Mutant::EarnsMore) {
            self.add_main(1);
        }
        let main = self.main();
        let up_to = |increment: Millis, cap: Option<Millis>| {
            (0..increment.as_ms()).take_while(|given| cap.is_none_or(|cap| main + given < cap.as_ms())).count() as u64
        };
        match self.system() {
            System::Fischer { increment, cap, .. } | System::Bank { increment, cap, .. } => {
                self.add_main(up_to(increment, cap));
            }
            System::Bronstein { delay, flags_at_main: true, .. } => self.add_main(self.turn.min(delay.as_ms())),
            System::Byoyomi { period, increment, .. } => {
                self.fill_period(period);
                if main > 0 {
                    self.add_main(increment.as_ms());
                }
            }
            System::Canadian { .. } if self.mutant == Some(Mutant::CountsNoBlocks) => {}
            System::Canadian { period, moves, .. } if main == 0 => {
                self.block_moves -= 1;
                if self.block_moves == 0 {
                    self.block_moves = moves;
                    self.fill_period(period);
                }
            }
            System::Overtime { increment, .. } if self.over == 0 => self.add_main(increment.as_ms()),
            System::Absolute { .. }
            | System::Delay { .. }
            | System::Bronstein { .. }
            | System::PerMove { .. }
            | System::Canadian { .. }
            | System::Overtime { .. }
            | System::Hourglass { .. } => {}
        }
        if self.given[self.stage].moves.is_some() {
            self.stage_moves -= u64::from(self.stage_moves > 0);
            match self.stage_moves {
                0 if self.stage + 1 < self.given.len() => self.begin_stage(self.stage + 1),
                0 if self.repeat => self.begin_stage(self.stage),
                _ => {}
            }
        }
        self.begin_turn();
    }

    /// The same clock in the engine's words.
    pub(super) fn segments(&self) -> Segments {
        let pieces = |wanted: Piece| self.row.iter().filter(move |(piece, _)| *piece == wanted).map(|(_, left)| *left);
        Segments {
            stage: self.stage,
            moves_left: self.stage_moves,
            free: Millis::new(pieces(Piece::Free).sum()),
            main: Millis::new(self.main()),
            period: Millis::new(pieces(Piece::Period).next().unwrap_or(0)),
            periods: pieces(Piece::Period).count() as u64,
            period_moves: self.block_moves,
            over: Millis::new(self.over),
            moves: self.moves,
        }
    }
}
