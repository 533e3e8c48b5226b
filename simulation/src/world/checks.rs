//! What must hold of every run: what was acknowledged is there, once; nothing else is; deadlines fire once and never early;
//! watchers converge; the audit is complete; nobody starves. Does not know how the run went.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use synckairos::engine::{SessionId, StateTag, Timestamp, Uuid};
use synckairos::redis::Keyspace;
use synckairos::wire::{self, RecordBody};

use super::database::Row;
use super::operation::{Answer, Kind, Operation};
use super::plan::Disturbance;
use super::run::Outcome;
use super::told;

/// What does not hold, by the name of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

/// All that does not hold of a run.
pub fn check(outcome: &Outcome) -> Vec<Violation> {
    let mut violations = Violations(Vec::new());
    let written = Written::of(outcome, &mut violations);
    states(outcome, &written, &mut violations);
    availability(outcome, &mut violations);
    punctuality(outcome, &mut violations);
    losses(outcome, &written, &mut violations);
    watchers(outcome, &written, &mut violations);
    for wrong in told::without_order(outcome) {
        violations.add("answers_have_an_order", wrong);
    }
    if let Some(database) = &outcome.database {
        let rows = database.rows();
        for wrong in database.wrong() {
            violations.add("audit_readable", wrong);
        }
        audit(outcome, &written, &rows, &mut violations);
        acknowledged(outcome, &written, &rows, &mut violations);
        patches(outcome, &rows, &mut violations);
        deadlines(&rows, &mut violations);
        times(outcome, &written, &rows, &mut violations);
    }
    violations.0
}

struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, check: &'static str, found: impl Into<String>) {
        self.0.push(Violation { check, found: found.into() });
    }
}

/// The states that sessions had in Redis, in the order in which they were written.
struct Written {
    all: BTreeMap<SessionId, Vec<State>>,
    /// What is there at the end.
    stored: BTreeMap<SessionId, State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    tag: StateTag,
    is_deleted: bool,
    deadline_ms: Option<u64>,
    /// When it was written, by the clock of Redis.
    at_us: u64,
    /// The state that its epoch began on.
    base: StateTag,
}

impl State {
    fn read(value: &[u8], at_us: u64) -> Option<Self> {
        let value = Bytes::copy_from_slice(value);
        let (deadline, body) = wire::peek(&value).ok()?;
        let header = wire::read_header(&value).ok()?;
        let (tag, is_deleted) = match body {
            RecordBody::State(tag, _) => (tag, false),
            RecordBody::Tombstone(tag) => (tag, true),
        };
        let deadline_ms = deadline.map(|deadline| deadline.as_ms());
        Some(Self { tag, is_deleted, deadline_ms, at_us, base: header.base })
    }
}

impl Written {
    fn of(outcome: &Outcome, violations: &mut Violations) -> Self {
        let mut all: BTreeMap<_, Vec<State>> = BTreeMap::new();
        for write in &outcome.writes {
            // Behind the partition, if there are several.
            let id = write.key.last_chunk::<{ Uuid::TEXT_LEN }>().and_then(|id| std::str::from_utf8(id).ok());
            match (id.and_then(Uuid::parse), State::read(&write.value, write.at_us)) {
                (Some(id), Some(state)) => all.entry(SessionId(id)).or_default().push(state),
                _ => violations.add("records_readable", String::from_utf8_lossy(&write.value)),
            }
        }
        let keyspace = Keyspace::new("", outcome.plan.partitions);
        let stored =
            |id: &SessionId| Some((*id, State::read(outcome.redis.string(keyspace.session(*id).as_bytes())?, 0)?));
        Self { all, stored: outcome.sessions.iter().filter_map(stored).collect() }
    }
}

/// No state is written twice, and none that is older than another one: versions go up, and epochs do.
fn states(outcome: &Outcome, written: &Written, violations: &mut Violations) {
    let kinds = &outcome.plan.disturbances;
    // Epochs of what was lost altogether go by a clock that was set back, and the correction of it was lost, too.
    if kinds.contains(&Disturbance::StepRedis) && kinds.contains(&Disturbance::LoseWrites) {
        return;
    }
    for (id, states) in &written.all {
        for pair in states.windows(2) {
            if pair[1].tag <= pair[0].tag {
                violations.add("tags_go_up", format!("{id}: {:?} after {:?}", pair[1], pair[0]));
            }
        }
    }
}

/// When nothing goes wrong any more everybody is answered, and all say the same.
fn availability(outcome: &Outcome, violations: &mut Violations) {
    let mut seen: BTreeMap<SessionId, BTreeSet<Option<StateTag>>> = BTreeMap::new();
    for operation in &outcome.last {
        if matches!(operation.answer, Answer::NotDone | Answer::Unknown) {
            violations.add("nobody_starves", format!("{operation:?}"));
        }
        if operation.kind == Kind::Read {
            let tag = if let Answer::Done(tag) = operation.answer { tag } else { None };
            seen.entry(operation.session).or_default().insert(tag);
        }
    }
    for (id, tags) in seen {
        if tags.len() > 1 {
            violations.add("all_read_the_same", format!("{id}: {tags:?}"));
        }
    }
    let expected = outcome.instances.len() * outcome.sessions.len() * 2;
    if outcome.last.len() != expected || outcome.instances.len() != outcome.plan.instances {
        let found = format!("{} of {expected} questions on {} instances", outcome.last.len(), outcome.instances.len());
        violations.add("nobody_starves", found);
    }
}

/// How late a clock that ran out may be when nothing goes wrong, beside ten times the way to Redis.
const LATE_MAX: Duration = Duration::from_millis(40);
/// How long a change may be on its way when Redis is halted meanwhile.
const ON_ITS_WAY_MAX_MS: u64 = 4_000;

/// Clocks that run out are noticed in time, and not only when somebody asks; and time passes as it does for everybody.
fn punctuality(outcome: &Outcome, violations: &mut Violations) {
    let plan = &outcome.plan;
    if plan.disturbances.contains(&Disturbance::StepRedis) {
        return;
    }
    let (redis, now_us) = &outcome.quiet;
    let keyspace = Keyspace::new("", plan.partitions);
    for &id in &*outcome.sessions {
        let value = redis.string(keyspace.session(id).as_bytes());
        let stored = value.and_then(|value| State::read(value, 0));
        let late_us = |deadline_ms: u64| now_us.saturating_sub(deadline_ms * 1_000);
        if let Some(state) = stored.filter(|state| state.deadline_ms.is_some_and(|at| late_us(at) > 1_000_000)) {
            let value = String::from_utf8_lossy(value.unwrap_or_default());
            violations.add("nothing_stays_overdue", format!("{id}: {state:?} at {now_us}: {value}"));
        }
    }
    let is_undisturbed = plan.disturbances.is_empty()
        && plan.connections.stall.or(plan.connections.cut_before).or(plan.connections.cut_after).is_none();
    if let Some(database) = outcome.database.as_ref().filter(|_| is_undisturbed) {
        let late_max = LATE_MAX + plan.latency.most * 10;
        for row in database.rows().iter().filter(|row| row.kind.ends_with("_expired")) {
            let late_ms = u64::try_from(late_max.as_millis()).unwrap_or(u64::MAX);
            let least = wire::instant_text(Timestamp::from_ms(row.at_ms.saturating_sub(late_ms)));
            let flags = flags(row).unwrap_or_default();
            if flags.last().is_some_and(|flag| flag.at < least) {
                violations.add("fired_in_time", format!("{row:?}"));
            }
        }
    }
}

/// What Redis lost that was acknowledged is reported by whoever acknowledged it, if it still runs.
fn losses(outcome: &Outcome, written: &Written, violations: &mut Violations) {
    let acknowledged = |id: SessionId, lost: &dyn Fn(StateTag) -> bool| {
        let mut done =
            outcome.history.iter().filter(|operation| operation.session == id && operation.kind != Kind::Read);
        done.any(|operation| matches!(operation.answer, Answer::Done(Some(tag)) if lost(tag)))
    };
    let is_told = outcome.behind > 0 || outcome.plan.disturbances.contains(&Disturbance::KillInstance);
    for (&id, states) in &written.all {
        for pair in states.windows(2) {
            let [before, next] = pair else { continue };
            let goes_back = next.tag.epoch > before.tag.epoch && !before.is_deleted && next.base < before.tag;
            if goes_back && !is_told && acknowledged(id, &|tag| tag > next.base && tag <= before.tag) {
                violations.add("losses_are_told", format!("{id}: {next:?} after {before:?}"));
            }
        }
    }
}

/// Watchers never go back, and have the newest state at the end.
fn watchers(outcome: &Outcome, written: &Written, violations: &mut Violations) {
    for (index, instance) in outcome.instances.iter().enumerate() {
        for (id, wrong) in instance.watcher.wrong() {
            let story = instance.watcher.story(id);
            violations.add("watchers_never_go_back", format!("instance {index}, {id}: {wrong}:{story}"));
        }
        for &id in &*outcome.sessions {
            let (newest, stored) = (instance.watcher.newest(id), written.stored.get(&id).copied());
            let has_converged = match (newest, stored) {
                (Some(newest), Some(stored)) => !newest.is_interrupted && newest.tag == stored.tag,
                // What Redis has lost may come back: it ends for its watchers when its lifetime is over.
                (Some(newest), None) => newest.tag == StateTag::default() || may_lose(outcome),
                (None, _) => false,
            };
            // Whoever begins to watch what was deleted is shown nothing.
            let is_gone = stored.is_some_and(|stored| stored.is_deleted)
                && newest.is_some_and(|newest| newest.tag == StateTag::default() && !newest.is_interrupted);
            if !has_converged && !is_gone {
                let story = instance.watcher.story(id);
                violations.add("watchers_converge", format!("instance {index}, {id}: {stored:?} after{story}"));
            }
        }
    }
}

/// Whether Redis may have lost what was acknowledged.
fn may_lose(outcome: &Outcome) -> bool {
    outcome.plan.disturbances.contains(&Disturbance::LoseWrites)
}

/// Every state is in the audit once, with all versions between.
fn audit(outcome: &Outcome, written: &Written, rows: &[Row], violations: &mut Violations) {
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

/// A clock that ran out.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flag {
    event: String,
    /// Whose, if it is somebody's.
    participant: Option<String>,
    /// When, as text.
    at: String,
}

/// The clocks that ran out in a change.
fn flags(row: &Row) -> Option<Vec<Flag>> {
    let events: serde_json::Value = serde_json::from_str(&row.events).ok()?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let flag = |event: &serde_json::Value| {
        let (at, participant) = (text(&event["expired_at"])?, text(&event["participant_id"]));
        Some(Flag { event: text(&event["event"])?, participant, at })
    };
    Some(events["events"].as_array()?.iter().filter_map(flag).collect())
}
