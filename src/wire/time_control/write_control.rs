//! A control as an object, defaults filled in: what a text or a shorter object stands for. Does not know how it was given.

use crate::engine::{Control, Millis, StageSystem, System};

use super::super::write::Write;

/// The JSON of a control.
pub fn control_text(control: &Control) -> Vec<u8> {
    let mut out = Vec::new();
    write_control(&mut out, control);
    out
}

/// Writes it.
pub(in crate::wire) fn write_control(out: &mut Vec<u8>, control: &Control) {
    match control.given() {
        [one] if !control.repeats() => {
            out.raw("{");
            write_system(out, one.system);
        }
        given => {
            out.raw(r#"{"system":"stages","stages":["#);
            for (position, one) in given.iter().enumerate() {
                out.raw(if position == 0 { "{" } else { ",{" });
                write_stage(out, *one);
            }
            out.raw(r#"],"repeat":"#);
            out.boolean(control.repeats());
        }
    }
    out.raw("}");
}

fn write_stage(out: &mut Vec<u8>, one: StageSystem) {
    if let Some(moves) = one.moves {
        out.raw(r#""moves":"#);
        out.number(moves);
        out.raw(",");
    }
    write_system(out, one.system);
    out.raw("}");
}

fn write_system(out: &mut Vec<u8>, system: System) {
    out.raw(r#""system":""#);
    out.raw(system.name());
    out.raw("\"");
    match system {
        System::Absolute { base } => length(out, "base_ms", base),
        System::Fischer { base, increment, cap, from_start } => {
            length(out, "base_ms", base);
            length(out, "increment_ms", increment);
            cap_ms(out, cap);
            out.raw(if from_start { r#","increment_at":"start""# } else { r#","increment_at":"end""# });
        }
        System::Delay { base, delay } | System::Hourglass { base, delay } => {
            length(out, "base_ms", base);
            length(out, "delay_ms", delay);
        }
        System::Bronstein { base, delay, flags_at_main } => {
            length(out, "base_ms", base);
            length(out, "delay_ms", delay);
            out.raw(if flags_at_main { r#","flag_at":"main""# } else { r#","flag_at":"delay""# });
        }
        System::PerMove { move_time } => length(out, "move_ms", move_time),
        System::Byoyomi { base, period, periods, increment } => {
            length(out, "base_ms", base);
            length(out, "period_ms", period);
            member(out, "periods", periods);
            length(out, "increment_ms", increment);
        }
        System::Canadian { base, period, moves } => {
            length(out, "base_ms", base);
            length(out, "period_ms", period);
            member(out, "moves", moves);
        }
        System::Bank { move_time, bank, increment, cap } => {
            length(out, "move_ms", move_time);
            length(out, "bank_ms", bank);
            length(out, "increment_ms", increment);
            cap_ms(out, cap);
        }
        System::Overtime { base, overtime, penalty, increment } => {
            length(out, "base_ms", base);
            match overtime {
                Some(overtime) => length(out, "overtime_ms", overtime),
                None => out.raw(r#","overtime_ms":null"#),
            }
            if let Some(penalty) = penalty {
                out.raw(r#","penalty":{"per_ms":"#);
                out.millis(penalty.per);
                member(out, "points", penalty.points);
                out.raw("}");
            }
            length(out, "increment_ms", increment);
        }
    }
}

fn cap_ms(out: &mut Vec<u8>, cap: Option<Millis>) {
    if let Some(cap) = cap {
        length(out, "cap_ms", cap);
    }
}

fn length(out: &mut Vec<u8>, name: &str, value: Millis) {
    member(out, name, value.as_ms());
}

fn member(out: &mut Vec<u8>, name: &str, value: u64) {
    out.raw(",\"");
    out.raw(name);
    out.raw("\":");
    out.number(value);
}
