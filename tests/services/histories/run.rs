//! One run: clients, watchers, faults, and the judgement of what everybody was told. Does not know how long it should be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use histories::{Rules, Span, Verdict, check_and_shrink, contradiction};
use tokio::task::{JoinSet, block_in_place};

use test_support::wait;

use super::audit::{self, Audit};
use super::client::{play, watch};
use super::clocks;
use super::faults::{Fault, plan};
use super::record::Record;
use super::site::{Kind, Loses, Site};

const INSTANCES: usize = 3;
const CLIENTS: u32 = 8;
const SESSIONS: u64 = 4;
/// Clocks that run out at the same time.
const CLOCKS: u64 = 4;
/// Changes between one fault and the next, about.
const CHANGES_BETWEEN: u64 = 120;

/// What is to be run.
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) seed: u64,
    /// About how many requests clients make.
    pub(super) operations: u64,
    pub(super) is_audited: bool,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) what: String,
    pub(super) seed: u64,
    pub(super) took: Duration,
    pub(super) asked: u64,
    pub(super) changed: u64,
    pub(super) unknown: u64,
    pub(super) not_done: u64,
    pub(super) refused: u64,
    pub(super) seen: u64,
    pub(super) faults: BTreeMap<Fault, u64>,
    /// Of the requests of unknown outcome, how many took effect.
    pub(super) took_effect: u64,
    /// How often a session was set back, and how many changes went with it.
    pub(super) losses: u64,
    pub(super) lost: u64,
    /// How many sessions instances reported as set back.
    pub(super) behind: u64,
    pub(super) undecided: u64,
    pub(super) audit: Audit,
    pub(super) late_ms: Vec<u64>,
    /// What must not be.
    pub(super) problems: Vec<String>,
}

/// Runs it; nothing is left running.
pub(super) async fn run(asked: &Plan) -> Outcome {
    let Plan { kind, seed, operations, is_audited } = *asked;
    let begin = Instant::now();
    let mut site = Site::start(kind, INSTANCES, is_audited).await;
    let record = Arc::new(Record::new(SESSIONS));
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        tasks.spawn(play(client, seed, Arc::clone(&record), Arc::clone(&site.addresses)));
    }
    for session in 0..SESSIONS {
        tasks.spawn(watch(
            session,
            seed,
            Arc::clone(&record),
            Arc::clone(&site.addresses),
            kind.loses() != Loses::Nothing,
        ));
    }
    for place in 0..CLOCKS {
        tasks.spawn(clocks::run_out(place, Arc::clone(&record), Arc::clone(&site.addresses)));
    }
    let (mut faults, mut losses) = (BTreeMap::new(), Vec::new());
    for strike in plan(kind, is_audited, seed, CHANGES_BETWEEN) {
        served(&record, strike.after).await;
        if record.counts.asked.load(Ordering::Relaxed) >= operations {
            break;
        }
        *faults.entry(strike.fault).or_default() += 1;
        losses.extend(strike.carry_out(&mut site, &record).await);
    }
    record.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("it ends well");
    }
    let took = begin.elapsed();
    let audit = if is_audited { audit::look_up(&mut site, &record).await } else { Audit::default() };
    let mut outcome = Outcome { faults, took, audit, ..counted(kind, seed, &record) };
    outcome.behind = site.behind();
    outcome.problems = [record.complaints(), site.faults(), outcome.audit.problems.clone()].concat();
    drop(site);
    block_in_place(|| outcome.judge(&record, kind, losses));
    outcome
}

/// Waits until so many changes more are made.
async fn served(record: &Record, changes: u64) {
    let made = || record.counts.changed.load(Ordering::Relaxed);
    let target = made() + changes;
    wait::within(Duration::from_secs(120), "clients are served", async || made() >= target).await;
}

fn counted(kind: Kind, seed: u64, record: &Record) -> Outcome {
    let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let counts = &record.counts;
    Outcome {
        what: kind.name().to_owned(),
        seed,
        asked: read(&counts.asked),
        changed: read(&counts.changed),
        unknown: read(&counts.unknown),
        not_done: read(&counts.not_done),
        refused: read(&counts.refused),
        seen: read(&counts.seen),
        late_ms: record.lateness(),
        ..Outcome::default()
    }
}

impl Outcome {
    fn judge(&mut self, record: &Record, kind: Kind, losses: Vec<Span>) {
        let keeps_acknowledged = kind.loses() == Loses::Unanswered;
        // Where most is unknown there are more orders than can be tried.
        let steps_max = if kind.may_lose() { 50_000 } else { Rules::default().steps_max };
        let rules = Rules { recovers: kind.may_lose(), keeps_acknowledged, steps_max, losses, ..Rules::default() };
        for session in 0..record.count() {
            let mut history = record.history(session);
            if !matches!(kind, Kind::Always | Kind::File) {
                // What a server said that was not believed any more may have been sent on.
                history.sightings.clear();
            }
            if kind == Kind::Sentinel {
                // Where nobody waits for replicas, two masters acknowledge changes until the old one is not believed any
                // more: there is no order, and yet no state is issued twice.
                self.problems
                    .extend(contradiction(&history).map(|violation| format!("session {session}: {violation}")));
                continue;
            }
            match check_and_shrink(&history, &rules) {
                Verdict::Right(order) => {
                    self.took_effect += order.took_effect as u64;
                    self.losses += order.losses as u64;
                    self.lost += order.lost;
                }
                Verdict::Undecided { .. } if kind.may_lose() => self.undecided += 1,
                undecided @ Verdict::Undecided { .. } => {
                    self.undecided += 1;
                    self.problems.push(format!("session {session}: {undecided}"));
                }
                Verdict::Wrong(violation) => self.problems.push(format!("session {session}: {violation}")),
            }
        }
    }

    pub(super) fn is_right(&self) -> bool {
        self.problems.is_empty()
    }

    /// In one line.
    pub(super) fn summary(&self) -> String {
        let Self { what, seed, took, asked, changed, unknown, not_done, refused, seen, faults, .. } = self;
        let Self { took_effect, lost, losses, behind, undecided, audit, .. } = self;
        format!(
            "{what}, seed {seed}: {asked} requests in {took:?}, {changed} changes, {refused} refused, {not_done} not done, {unknown} unknown \
             ({took_effect} took effect), {seen} updates seen; {faults:?}; {losses} losses of {lost} changes, {behind} reported, \
             {undecided} undecided; {} rows, {} missing",
            audit.rows, audit.missing
        )
    }
}
