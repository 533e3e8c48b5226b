//! The clocks of a session with a time control: what each has of every segment, beside what that comes to
//! ([`Session::clocks`]). `budget`, `turn` and `settle` ask here where a session has one; those without never come here. Does
//! not know why a turn begins or ends.

use super::control::{Control, Segments};
use super::session::{Mode, OnTimeout, Session};
use super::session_controls::SessionControls;
use super::time::Millis;

impl Session {
    /// The control that a participant goes by, and what its clock has; `None` without a time control. Of a turn that could
    /// be theirs in [`Mode::PerCycle`] a full one.
    pub fn clock_of(&self, participant: usize) -> Option<(&Control, Segments)> {
        let controls = self.controls.as_ref()?;
        let control = controls.rules.control(participant);
        let holds_clock = match self.mode {
            Mode::PerCycle => self.turn.is_some_and(|turn| turn.participant == participant),
            Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => true,
        };
        match holds_clock {
            true => Some((control, controls.segments[self.participants[participant].clock])),
            false => Some((control, Segments::new(control))),
        }
    }

    /// What a completed turn earns now, as it is shown: of the active participant, or else of the first.
    pub fn shown_increment(&self) -> Millis {
        let Some(controls) = &self.controls else { return self.increment };
        let participant = self.turn.map_or(0, |turn| turn.participant);
        let stage = controls.segments[self.participants[participant].clock].stage;
        controls.rules.control(participant).stage(stage).increment
    }

    /// Whether all turns together last no longer than the session.
    pub(super) fn is_bound_by_total(&self) -> bool {
        self.on_timeout == OnTimeout::Advance && self.has_endless_turns()
    }

    /// Whether turns would follow each other without end where flags advance.
    pub(super) fn has_endless_turns(&self) -> bool {
        self.mode == Mode::PerCycle || self.controls.as_ref().is_some_and(|controls| controls.rules.renew())
    }

    /// Whether no flag can begin the next turn: one clock is for all, or gains what the other one loses, or has no end.
    pub(super) fn cannot_advance(&self) -> bool {
        let Some(controls) = &self.controls else { return false };
        self.mode == Mode::Global || controls.rules.controls().iter().any(Control::cannot_advance)
    }
}

/// Whether the clock of `participant` has no end.
pub(super) fn is_endless(session: &Session, participant: usize) -> bool {
    session.controls.as_ref().is_some_and(|controls| {
        let segments = &controls.segments[session.participants[participant].clock];
        segments.budget(controls.rules.control(participant)).is_none()
    })
}

/// Whether `participant` has a new turn of its own although its last one flagged.
pub(super) fn renews(session: &Session, participant: usize) -> bool {
    session.controls.as_ref().is_some_and(|controls| {
        let segments = &controls.segments[session.participants[participant].clock];
        controls.rules.control(participant).renews_in(segments.stage)
    })
}

/// Charges the clock of `participant`; the other glass gains what this one loses.
pub(super) fn charge(session: &mut Session, participant: usize, elapsed: Millis) {
    let clock = session.participants[participant].clock;
    let Some(controls) = &mut session.controls else { return };
    let control = controls.rules.control(participant);
    let segments = &mut controls.segments[clock];
    let is_glass = control.stage(segments.stage).transfers;
    let charged = segments.fold(control, elapsed);
    controls.turn_used += elapsed;
    session.clocks[clock] = match segments.budget(control) {
        Some(_) => session.clocks[clock] - elapsed,
        None => segments.main,
    };
    if is_glass && !charged.is_zero() {
        gain(session, clock, charged);
    }
}

fn gain(session: &mut Session, loser: usize, charged: Millis) {
    let Some(other) = session.participants.iter().position(|one| one.clock != loser) else { return };
    let clock = session.participants[other].clock;
    let Some(controls) = &mut session.controls else { return };
    let segments = &mut controls.segments[clock];
    segments.main += charged;
    session.clocks[clock] = segments.shown(controls.rules.control(other));
}

/// Completes the turn of `participant`, which was charged and has something left.
pub(super) fn complete(session: &mut Session, participant: usize) {
    let clock = session.participants[participant].clock;
    let Some(controls) = &mut session.controls else { return };
    let (control, turn_used) = (controls.rules.control(participant), controls.turn_used);
    let segments = &mut controls.segments[clock];
    segments.complete(control, turn_used);
    session.clocks[clock] = segments.shown(control);
}

/// Begins a turn of `next` after the one that is still in [`Session::turn`]; `unspent` is what all turns together have left.
pub(super) fn begin_turn(session: &mut Session, next: usize, unspent: Millis) {
    let before = session.turn.map(|turn| turn.participant);
    let is_bound = session.is_bound_by_total();
    let clock = session.participants[next].clock;
    if let Some(flagged) = before.filter(|&before| session.participants[before].has_expired) {
        renew(session, flagged);
    }
    // What was free in a turn is not free again where it goes on in the same group.
    let goes_on = session.mode == Mode::PerGroup
        && before.is_some_and(|before| {
            session.participants[before].clock == clock && !session.participants[before].has_expired
        });
    if session.participants[next].has_expired && session.mode != Mode::PerCycle {
        for one in session.participants.iter_mut().filter(|one| one.clock == clock) {
            (one.has_expired, one.expired_at) = (false, None);
        }
    }
    let Some(controls) = &mut session.controls else { return };
    let control = controls.rules.control(next);
    let segments = &mut controls.segments[clock];
    if session.mode == Mode::PerCycle {
        *segments = Segments::new(control);
    }
    if !goes_on {
        controls.turn_used = Millis::ZERO;
    }
    let shown = segments.shown(control);
    session.clocks[clock] = if is_bound { shown.min(unspent) } else { shown };
}

/// After a turn that flagged, if there is another one all the same: it has its own time.
fn renew(session: &mut Session, participant: usize) {
    if session.mode == Mode::PerCycle || !renews(session, participant) {
        return;
    }
    let clock = session.participants[participant].clock;
    let Some(controls) = &mut session.controls else { return };
    let control = controls.rules.control(participant);
    controls.segments[clock].renew(control);
    session.clocks[clock] = controls.segments[clock].shown(control);
}

/// The session has ended.
pub(super) fn end(session: &mut Session) {
    let Some(controls) = &mut session.controls else { return };
    controls.turn_used = Millis::ZERO;
    if session.mode == Mode::PerCycle {
        controls.segments[0] = Segments::default();
    }
}

/// What a full turn of `participant` has where nothing is kept from turn to turn.
pub(super) fn full_turn(controls: &SessionControls, participant: usize) -> Millis {
    controls.rules.control(participant).stage(0).free
}

/// What every further turn of `participant` uses that nobody completes; `None` when they are not all alike.
pub(super) fn steady_turn(session: &Session, participant: usize) -> Option<Millis> {
    let controls = session.controls.as_ref()?;
    let (control, segments) =
        (controls.rules.control(participant), &controls.segments[session.participants[participant].clock]);
    let free = control.stage(segments.stage).free;
    (control.renews_in(segments.stage) && segments.budget(control) == Some(free)).then_some(free)
}
