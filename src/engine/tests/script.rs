//! Sessions as text. A table describes a session, then gives steps and under each what must come of it:
//!
//! ```text
//! session per_participant A=5000 B=3000 increment=100
//! at 0 start
//!   A starts
//!   v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
//! at 1500 switch by B
//!   refused: conflict at v2
//! ```
//!
//! A participant is `name=time`, then `#index` (else its place) and `/group`; other words are settings.
//! A step's answer is its events, three on a line, then `late`, `expired:` or `refused:` when the verdict says
//! so, then the state if it changed: version, status, the active participant with the turn's start and
//! deadline, and for each participant the clock shown, `+` the time used, `x` the turns counted, with `!`
//! for a clock that flagged and the instant behind it. Under `settings` and `warnings` stands what there
//! is of them, under `state` the state. A line that begins with `--` is a remark.
//!
//! On a mismatch the table is shown as it came out. Knows no rule of the engine.

use std::fmt::Write as _;

use super::super::{Outcome, Session, Timestamp};
use super::described::{described, number, parsed};
use super::judged::judged;
use super::told;

/// Plays `table` and compares.
#[track_caller]
pub(super) fn check(table: &str) {
    let expected: String = lines(table).map(|line| format!("{}{line}\n", indent(line))).collect();
    let actual = play(table);
    assert!(actual == expected, "\n--- expected\n{expected}\n--- actual\n{actual}");
}

/// The table with what really came of each step.
fn play(table: &str) -> String {
    let mut played = String::new();
    let mut session = None;
    for line in lines(table) {
        let answer = if let Some(description) = line.strip_prefix("session ") {
            session = Some(described(description));
            None
        } else if let Some(step) = line.strip_prefix("at ") {
            let (at, step) = step.split_once(' ').expect("a step is `at <ms> <what>`");
            let session = session.as_mut().expect("a table describes a session first");
            Some(answer(session, Timestamp::from_ms(number(at)), step))
        } else if line.starts_with("--") {
            None
        } else {
            continue;
        };
        played.push_str(line);
        played.push('\n');
        for line in answer.iter().flat_map(|answer| lines(answer)) {
            played.push_str("  ");
            played.push_str(line);
            played.push('\n');
        }
    }
    played
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn indent(line: &str) -> &'static str {
    if ["session ", "at ", "--"].iter().any(|start| line.starts_with(start)) { "" } else { "  " }
}

/// Takes one step and tells what came of it.
fn answer(session: &mut Session, at: Timestamp, step: &str) -> String {
    match step {
        "state" => return told::state(session),
        "settings" => return told::settings(session),
        "warnings" => return told::warnings(session, at),
        _ => {}
    }
    let (command, precondition) = parsed(step);
    let judgement = judged(session, &command, &precondition, at);
    let mut answer = String::new();
    for events in judgement.events.chunks(3) {
        let told: Vec<_> = events.iter().map(told::event).collect();
        writeln!(answer, "{}", told.join(", ")).expect("a string takes everything");
    }
    match judgement.verdict {
        Ok(Outcome { expired: Some(participant), late: false }) => {
            writeln!(answer, "expired: {}", told::name(participant))
        }
        Ok(Outcome { expired: Some(participant), late: true }) => {
            writeln!(answer, "late, expired: {}", told::name(participant))
        }
        Ok(Outcome { expired: None, late: true }) => writeln!(answer, "late"),
        Ok(Outcome { expired: None, late: false }) if judgement.events.is_empty() => writeln!(answer, "nothing"),
        Ok(Outcome { expired: None, late: false }) => Ok(()),
        Err(reason) => writeln!(answer, "refused: {}", told::refusal(reason)),
    }
    .expect("a string takes everything");
    if !judgement.events.is_empty() {
        answer.push_str(&told::state(&judgement.session));
    }
    *session = judgement.session;
    answer
}
