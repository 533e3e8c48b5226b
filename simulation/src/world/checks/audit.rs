//! What must hold of the audit of a run: every change is there once, what was acknowledged was done, once, and deadlines fired
//! once and never early. Does not know how rows are written.

use std::collections::{BTreeMap, BTreeSet};

use synckairos::engine::Timestamp;
use synckairos::wire;

use super::super::database::Row;
use super::super::operation::{Answer, Kind, Operation};
use super::super::plan::Disturbance;
use super::super::run::Outcome;
use super::{Violations, Written, flags, may_lose};

/// How long a change may be on its way when Redis is halted meanwhile.
const ON_ITS_WAY_MAX_MS: u64 = 4_000;

/// All that does not hold of it.
pub(super) fn check(outcome: &Outcome, written: &Written, rows: &[Row], violations: &mut Violations) {
    rows_of_states(outcome, written, rows, violations);
    acknowledged(outcome, written, rows, violations);
    patches(outcome, rows, violations);
    deadlines(rows, violations);
    times(outcome, written, rows, violations);
}

/// Every state is in the audit once, with all versions between.
fn rows_of_states(outcome: &Outcome, written: &Written, rows: &[Row], violations: &mut Violations) {
    for pair in rows.windows(2) {
        let [before, next] = pair else { continue };
        if before.session != next.session {
            continue;
        }
        if before.tag == next.tag {
            violations.add("one_row_each", format!("{before:?} and {next:?}"));
        }
        if before.tag.epoch == next.tag.epoch && before.tag.version + 1 < next.tag.version && !may_lose(outcome) {
            violations.add("versions_are_consecutive", format!("{before:?}, then {next:?}"));
        }
    }
    if may_lose(outcome) {
        return;
    }
    let known: BTreeSet<_> = rows.iter().map(|row| (row.session, row.tag)).collect();
    for (id, states) in &written.all {
        for state in states.iter().filter(|state| !known.contains(&(*id, state.tag))) {
            violations.add("audit_is_complete", format!("{id}: no row of {state:?}"));
        }
    }
}

/// What was acknowledged was done, once.
fn acknowledged(outcome: &Outcome, written: &Written, rows: &[Row], violations: &mut Violations) {
    let kinds: BTreeMap<_, _> = rows.iter().map(|row| ((row.session, row.tag), row)).collect();
    let mut done = BTreeMap::new();
    for operation in &outcome.history {
        let Answer::Done(Some(tag)) = operation.answer else { continue };
        let Some(event) = event(operation.kind) else { continue };
        if let Some(other) = done.insert((operation.session, tag), operation.number) {
            violations.add("one_acknowledgement_each", format!("{operation:?} and number {other}"));
        }
        match kinds.get(&(operation.session, tag)) {
            Some(row) if row.events.contains(event) => {}
            Some(row) => violations.add("acknowledged_as_done", format!("{operation:?}: {row:?}")),
            None if may_lose(outcome) => {}
            None => violations.add("acknowledged_is_there", format!("{operation:?}")),
        }
        let is_written =
            written.all.get(&operation.session).is_some_and(|all| all.iter().any(|state| state.tag >= tag));
        if !is_written {
            violations.add("acknowledged_was_written", format!("{operation:?}"));
        }
    }
}

/// The event that an operation makes, as the audit has it.
fn event(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Create => Some(r#""event":"created""#),
        Kind::Start => Some(r#""event":"started""#),
        Kind::Switch => Some(r#""event":"switched""#),
        Kind::Pause => Some(r#""event":"paused""#),
        Kind::Resume => Some(r#""event":"resumed""#),
        Kind::Patch => Some(r#""event":"updated""#),
        // A session that is over already stays as it is.
        Kind::Complete | Kind::Cancel | Kind::Delete | Kind::Read => None,
    }
}

/// A patch is applied once at most, and not at all when its client was told so.
fn patches(outcome: &Outcome, rows: &[Row], violations: &mut Violations) {
    let mut applied: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.events.contains(r#""event":"updated""#)) {
        if let Some(metadata) = &row.metadata {
            applied.entry(metadata.clone()).or_default().push(row);
        }
    }
    for operation in outcome.history.iter().filter(|operation| operation.kind == Kind::Patch) {
        let rows = applied.get(&Operation::mark(operation.number)).map(Vec::as_slice).unwrap_or_default();
        let times = rows.iter().map(|row| row.tag).collect::<BTreeSet<_>>().len();
        let is_wrong = match &operation.answer {
            Answer::Done(_) => times > 1 || times == 0 && !may_lose(outcome),
            Answer::Refused | Answer::NotDone => times > 0,
            Answer::Unknown => times > 1,
        };
        if is_wrong {
            violations.add("applied_as_told", format!("{operation:?} was applied {times} times"));
        }
    }
}

/// No deadline fires before it has come, and none twice.
fn deadlines(rows: &[Row], violations: &mut Violations) {
    let mut fired = BTreeSet::new();
    for row in rows {
        let Some(flags) = flags(row) else {
            violations.add("audit_readable", format!("{row:?}"));
            continue;
        };
        for flag in flags {
            if flag.at > wire::instant_text(Timestamp::from_ms(row.at_ms)) {
                violations.add("never_early", format!("{row:?}"));
            }
            if !fired.insert((row.session, row.tag.epoch, flag)) {
                violations.add("fired_once", format!("{row:?}"));
            }
        }
    }
}

/// Changes are judged at times that have come by the clock of Redis, as long as nobody sets it.
fn times(outcome: &Outcome, written: &Written, rows: &[Row], violations: &mut Violations) {
    if outcome.plan.disturbances.contains(&Disturbance::StepRedis) {
        return;
    }
    for row in rows {
        let states = written.all.get(&row.session).map(Vec::as_slice).unwrap_or_default();
        // Several changes may be written at once.
        let Some(state) = states.iter().find(|state| state.tag >= row.tag) else { continue };
        let at_ms = state.at_us / 1_000;
        let is_right = row.at_ms <= at_ms && (state.tag != row.tag || at_ms - row.at_ms <= ON_ITS_WAY_MAX_MS);
        if !is_right {
            violations.add("time_is_that_of_redis", format!("{row:?} was written at {at_ms}"));
        }
    }
}
