//! A page about many runs: what was changed, what went wrong, what was lost, how late clocks ended. Does not know how runs are
//! made.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::faults::Fault;
use super::run::Outcome;
use super::site::Kind;

/// The upper ends of what lateness is counted in, in ms; the last has none.
const BOUNDS_MS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 300, 1_000, 3_000, 10_000];
const BAR_MAX: u64 = 50;

/// All runs so far.
#[derive(Default)]
pub(super) struct Report {
    /// What names the runs, in one line.
    pub(super) title: String,
    kinds: BTreeMap<&'static str, (Kind, Total)>,
    problems: Vec<String>,
}

/// What all runs of a kind come to.
#[derive(Default)]
struct Total {
    runs: u64,
    seconds: f64,
    sum: Outcome,
}

impl Report {
    pub(super) fn add(&mut self, kind: Kind, outcome: &Outcome) {
        let (_, total) = self.kinds.entry(kind.name()).or_insert_with(|| (kind, Total::default()));
        total.runs += 1;
        total.seconds += outcome.took.as_secs_f64();
        let sum = &mut total.sum;
        for (sum, more) in [
            (&mut sum.asked, outcome.asked),
            (&mut sum.changed, outcome.changed),
            (&mut sum.unknown, outcome.unknown),
            (&mut sum.took_effect, outcome.took_effect),
            (&mut sum.not_done, outcome.not_done),
            (&mut sum.refused, outcome.refused),
            (&mut sum.seen, outcome.seen),
            (&mut sum.losses, outcome.losses),
            (&mut sum.lost, outcome.lost),
            (&mut sum.behind, outcome.behind),
            (&mut sum.undecided, outcome.undecided),
            (&mut sum.audit.rows, outcome.audit.rows),
            (&mut sum.audit.missing, outcome.audit.missing),
            (&mut sum.audit.duplicates, outcome.audit.duplicates),
        ] {
            *sum += more;
        }
        outcome.faults.iter().for_each(|(fault, count)| *sum.faults.entry(*fault).or_default() += count);
        sum.late_ms.extend(&outcome.late_ms);
        let seed = outcome.seed;
        self.problems.extend(outcome.problems.iter().map(|problem| format!("{}, seed {seed}: {problem}", kind.name())));
    }

    /// The page, as Markdown.
    pub(super) fn page(&self) -> String {
        let mut page = format!("# The long run\n\n{}\n\n", self.title);
        self.requests(&mut page);
        self.losses(&mut page);
        self.faults(&mut page);
        self.lateness(&mut page);
        let _ = writeln!(page, "## What must not be\n");
        if self.problems.is_empty() {
            let _ = writeln!(page, "Nothing.");
        }
        self.problems.iter().for_each(|problem| _ = writeln!(page, "```text\n{problem}\n```\n"));
        page
    }

    fn totals(&self) -> impl Iterator<Item = (Kind, &Total)> {
        self.kinds.values().map(|(kind, total)| (*kind, total))
    }

    fn requests(&self, page: &mut String) {
        let _ = writeln!(page, "## Requests\n");
        let _ = writeln!(
            page,
            "| store | runs | minutes | requests | changes | refused | not done | unknown | of these took effect | updates seen |"
        );
        let _ = writeln!(page, "|---|---|---|---|---|---|---|---|---|---|");
        for (kind, Total { runs, seconds, sum }) in self.totals() {
            let Outcome { asked, changed, refused, not_done, unknown, took_effect, seen, .. } = sum;
            let _ = writeln!(
                page,
                "| {} | {runs} | {:.1} | {asked} | {changed} | {refused} | {not_done} | {unknown} | {took_effect} | {seen} |",
                kind.says(),
                seconds / 60.0
            );
        }
    }

    fn losses(&self, page: &mut String) {
        let _ = writeln!(page, "\n## Losses and the audit\n");
        let _ = writeln!(page, "A session that is set back has a new epoch with its next change.");
        let _ = writeln!(
            page,
            "Where acknowledged changes may not be lost, what is set back is what somebody saw and nobody was answered.\n"
        );
        let _ = writeln!(
            page,
            "| store | acknowledged changes may be lost | sessions set back | changes set back | reported by instances | histories undecided | audit rows | acknowledged without a row | rows too many |"
        );
        let _ = writeln!(page, "|---|---|---|---|---|---|---|---|---|");
        for (kind, Total { sum, .. }) in self.totals() {
            let may_lose = if kind.may_lose() { "yes" } else { "no" };
            let Outcome { losses, lost, behind, undecided, audit, .. } = sum;
            let _ = writeln!(
                page,
                "| {} | {may_lose} | {losses} | {lost} | {behind} | {undecided} | {} | {} | {} |",
                kind.says(),
                audit.rows,
                audit.missing,
                audit.duplicates
            );
        }
    }

    fn faults(&self, page: &mut String) {
        let _ = writeln!(page, "\n## Faults\n\n| store | faults |\n|---|---|");
        for (kind, Total { sum, .. }) in self.totals() {
            let each: Vec<_> = sum.faults.iter().map(|(fault, count)| format!("{} {count}", name(*fault))).collect();
            let _ = writeln!(page, "| {} | {} |", kind.says(), each.join(", "));
        }
    }

    fn lateness(&self, page: &mut String) {
        let _ = writeln!(page, "\n## How late watchers are told that a clock ran out\n");
        let _ = writeln!(page, "By the server's clock, halts and failovers included.");
        for (kind, Total { sum, .. }) in self.totals().filter(|(_, total)| !total.sum.late_ms.is_empty()) {
            let mut late = sum.late_ms.clone();
            late.sort_unstable();
            let at = |share: usize| late[(late.len() - 1) * share / 1_000];
            let _ = writeln!(
                page,
                "\n{}: {} times, p50 {} ms, p99 {} ms, p99.9 {} ms, most {} ms.\n",
                kind.says(),
                late.len(),
                at(500),
                at(990),
                at(999),
                at(1_000)
            );
            let _ = writeln!(page, "```text\n{}```", histogram(&late));
        }
    }
}

/// Bars whose lengths are logarithms: few that are late show as well as many that are not. Takes sorted numbers.
fn histogram(sorted: &[u64]) -> String {
    let mut text = String::new();
    let mut from = 0;
    for (place, bound) in BOUNDS_MS.iter().copied().chain([u64::MAX]).enumerate() {
        let until = sorted.partition_point(|ms| *ms < bound);
        let count = (until - from) as u64;
        let longest = (sorted.len() as f64 + 1.0).log2();
        let bar = ((count as f64 + 1.0).log2() / longest * BAR_MAX as f64).round() as usize;
        let label = match BOUNDS_MS.get(place) {
            Some(bound) => format!("under {bound} ms"),
            None => "later".to_owned(),
        };
        let _ = writeln!(text, "{label:>14} {count:>8} {}", "#".repeat(bar));
        from = until;
    }
    text
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::InstanceKilled => "instance killed",
        Fault::InstanceHalted => "instance halted",
        Fault::ConnectionsCut => "connections cut",
        Fault::CutAtExec => "cut at EXEC",
        Fault::StoreHalted => "store halted",
        Fault::StoreRestarted => "store killed and restarted",
        Fault::MasterKilled => "master killed",
        Fault::HandedOver => "handed over",
        Fault::DatabaseStopped => "database stopped",
        Fault::DatabaseHalted => "database halted",
        Fault::DiskStalled => "disk stalled",
    }
}

#[test]
fn a_histogram_counts_each_once() {
    let text = histogram(&[0, 0, 1, 4, 5, 20_000]);
    let counts: Vec<u64> = text
        .lines()
        .map(|line| line[14..].split_whitespace().next().map_or(0, |n| n.parse().expect("a number")))
        .collect();
    assert_eq!(counts, [2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
}
