//! What a state shows of clocks under time controls: the controls once, and of each clock what its control needs. Read back by
//! `decode`, so that it is all that the engine needs. Does not know the rest of the state.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::{Control, Group, Millis, Mode, Segments, Session, SessionControls};

use super::time_control::{stored, write_control};
use super::write::Write;

/// What a control takes, and a clock.
const CONTROL_LEN: usize = 110;
const CLOCK_LEN: usize = 110;

/// How long it is, or little less.
pub(super) fn len_expected(controls: &SessionControls) -> usize {
    let stages: usize = controls.rules.controls().iter().map(|control| control.given().len()).sum();
    60 + stages * CONTROL_LEN + controls.segments.len() * CLOCK_LEN
}

/// Writes which control a participant goes by, and its clock unless that stands somewhere else.
pub(super) fn write_of_participant(out: &mut Vec<u8>, session: &Session, position: usize) {
    let Some(controls) = &session.controls else { return };
    out.raw(r#","control":"#);
    out.number(controls.rules.position(position) as u64);
    let is_elsewhere = match session.mode {
        Mode::PerGroup => session.participants[position].group.is_some(),
        Mode::Global => true,
        Mode::PerParticipant | Mode::PerCycle | Mode::CountUp => false,
    };
    if !is_elsewhere {
        write_clock(out, session, position);
    }
}

/// The same of a group.
pub(super) fn write_of_group(out: &mut Vec<u8>, session: &Session, group: &Group) {
    let Some(controls) = &session.controls else { return };
    let Some(member) = session.participants.iter().position(|one| one.clock == group.clock) else { return };
    out.raw(r#","control":"#);
    out.number(controls.rules.position(member) as u64);
    write_clock(out, session, member);
}

/// Writes the controls, what the turn has used, and the clock of all.
pub(super) fn write_of_session(out: &mut Vec<u8>, session: &Session) {
    let Some(controls) = &session.controls else { return };
    out.raw(r#","time_controls":["#);
    for (position, control) in controls.rules.controls().iter().enumerate() {
        if position > 0 {
            out.raw(",");
        }
        write_control(out, control);
    }
    out.raw("]");
    if session.turn.is_some() {
        out.raw(r#","turn_used_ms":"#);
        out.millis(controls.turn_used);
    }
    if session.mode == Mode::Global {
        write_clock(out, session, 0);
    }
}

fn write_clock(out: &mut Vec<u8>, session: &Session, participant: usize) {
    let Some((control, clock)) = session.clock_of(participant) else { return };
    let stages = || (0..control.given().len()).map(|position| control.stage(position));
    let mut before = r#","clock":{""#;
    let mut member = |out: &mut Vec<u8>, is_there: bool, name: &str, value: u64| {
        if is_there {
            out.raw(std::mem::replace(&mut before, ",\""));
            out.raw(name);
            out.raw("\":");
            out.number(value);
        }
    };
    member(out, control.given().len() > 1, "stage", clock.stage as u64);
    member(out, stages().any(|stage| stage.moves.is_some()), "moves_left", clock.moves_left);
    member(out, true, "main_ms", clock.main.as_ms());
    member(out, stages().any(|stage| !stage.free.is_zero()), "delay_ms", clock.free.as_ms());
    let has_periods = stages().any(|stage| stage.periods > 0);
    member(out, has_periods, "period_ms", clock.period.as_ms());
    member(out, has_periods, "periods_left", clock.periods);
    member(out, stages().any(|stage| stage.moves_per_period > 1), "moves_in_period", clock.period_moves);
    if stages().any(|stage| stage.allowance != Some(Millis::ZERO)) {
        out.raw(r#","balance_ms":"#);
        let balance = clock.balance_ms();
        if balance < 0 {
            out.raw("-");
        }
        out.number(balance.unsigned_abs());
    }
    let penalty = clock.penalty(control);
    member(out, penalty.is_some(), "penalty", penalty.unwrap_or_default());
    member(out, true, "moves", clock.moves);
    out.raw("}");
}

/// A clock as it is written.
#[derive(Clone, Copy, Default, Deserialize)]
pub(super) struct ClockJson {
    #[serde(default)]
    stage: usize,
    #[serde(default)]
    moves_left: u64,
    main_ms: u64,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    period_ms: u64,
    #[serde(default)]
    periods_left: u64,
    moves_in_period: Option<u64>,
    #[serde(default)]
    balance_ms: i64,
    moves: u64,
}

impl ClockJson {
    /// What the clock has.
    pub(super) fn segments(&self, control: &Control) -> Segments {
        let is_in_periods = control.stage(self.stage).periods > 0;
        Segments {
            stage: self.stage,
            moves_left: self.moves_left,
            free: Millis::new(self.delay_ms),
            main: Millis::new(self.main_ms),
            period: Millis::new(self.period_ms),
            periods: self.periods_left,
            period_moves: self.moves_in_period.unwrap_or(u64::from(is_in_periods)),
            over: Millis::new(self.balance_ms.min(0).unsigned_abs()),
            moves: self.moves,
        }
    }
}

/// The controls of a state; `None` when one of them is none.
pub(super) fn controls(written: &[&RawValue]) -> Option<Vec<Control>> {
    written.iter().map(|control| stored(control.get())).collect()
}
