//! A turn of a session: when its clock flags, what clocks show, how a turn begins and how the last one ends. Does not know
//! what a turn costs (`budget`), nor why it begins or ends (`settle`, `apply`).

use super::budget;
use super::controls;
use super::session::{Mode, Session, Status, Turn};
use super::time::{Millis, Timestamp};

/// Turns that may begin one after the other without a command; what follows is computed at the next read or command.
const UNATTENDED_TURNS_MAX: u64 = 100;

impl Session {
    /// When the running clock flags, if nothing happens before. A clock that flagged has no further
    /// deadline, nor has one that counts up without a maximum.
    pub fn deadline(&self) -> Option<Timestamp> {
        let turn = self.turn?;
        if self.participants[turn.participant].has_expired {
            return None;
        }
        Some(turn.since? + budget::budget(self, turn.participant)?)
    }

    /// When the session is to be settled although no command arrives: at the deadline, unless it has gone on without
    /// commands for too long.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.deadline().filter(|_| self.unattended_turns < UNATTENDED_TURNS_MAX)
    }

    /// What a participant's clock shows: what it had at [`Session::cycle_started_at`] while it runs, else
    /// what it has left. In [`Mode::PerCycle`] a full turn, but for the turn in progress what that has.
    pub fn shown_time(&self, participant: usize) -> Millis {
        let holds_clock = match self.mode {
            Mode::PerCycle => self.turn.is_some_and(|turn| turn.participant == participant),
            Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => true,
        };
        if holds_clock {
            self.clocks[self.participants[participant].clock]
        } else {
            budget::full_turn(self, participant)
        }
    }

    /// Begins a turn of `next` at `at`.
    pub(super) fn begin_turn(&mut self, next: usize, at: Timestamp) {
        self.begin_turn_within(next, at, budget::unspent);
    }

    /// The same, with [`budget::unspent`] given.
    pub(super) fn begin_turn_within(&mut self, next: usize, at: Timestamp, unspent: impl Fn(&Session) -> Millis) {
        if self.controls.is_some() {
            let unspent = if self.is_bound_by_total() { unspent(self) } else { Millis::ZERO };
            controls::begin_turn(self, next, unspent);
        }
        match self.mode {
            Mode::PerCycle => {
                self.clocks[0] = budget::turn_time(self, next, unspent);
                self.participants[next].has_expired = false;
                self.participants[next].expired_at = None;
            }
            Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {}
        }
        self.turn = Some(Turn { participant: next, since: Some(at) });
    }

    /// Ends the session at `at`.
    pub(super) fn end(&mut self, status: Status, at: Timestamp) {
        match self.mode {
            Mode::PerCycle => self.clocks[0] = Millis::ZERO,
            Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {}
        }
        if self.controls.is_some() {
            controls::end(self);
        }
        self.status = status;
        self.turn = None;
        self.completed_at = Some(at);
        self.unattended_turns = 0;
    }
}
