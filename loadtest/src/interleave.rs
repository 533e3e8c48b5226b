//! Interleaves benchmarks: servers and kinds of work take turns, each for a slice of time, so that a machine that drifts drifts
//! for all of them, and what is compared ran next to each other. Does not know what a benchmark does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::generator::failure::Result;
use crate::generator::pace::Pace;
use crate::generator::sample::{Sample, SharedSample};
use crate::generator::worker_pool::WorkerPool;
use crate::generator::workload::{Bare, Workload};
use crate::report::{Heading, Merit, Row, Slice};
use crate::run::Run;
use crate::servers::target::{Target, Usage};

/// A benchmark while it runs for a slice of time.
pub(crate) type SliceFuture<'t> = Pin<Box<dyn Future<Output = Result<()>> + 't>>;

/// Something that can be measured for a slice of time, again and again.
pub(crate) trait Benchmark {
    /// The server that is measured.
    fn target(&self) -> &Arc<Target>;

    /// The headings of the rows that its samples go into.
    fn headings(&self) -> Vec<Heading>;

    /// Runs for about so long, and records into a sample for each heading.
    fn run_slice<'t>(&'t mut self, slice: Duration, samples: &'t [SharedSample]) -> SliceFuture<'t>;
}

/// Sends requests of one kind over a pool of connections.
pub(crate) struct RequestBenchmark {
    target: Arc<Target>,
    heading: Heading,
    pool: WorkerPool,
    load: Load,
    /// Whether each is a change, which the audit has to write.
    are_changes: bool,
}

/// The load: open loop or closed loop, and its circumstances.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    rate: Option<f64>,
    /// Circumstances that distinguish it from other loads.
    beside: String,
}

impl Load {
    /// Requests a second in an open loop, or as many as responses come.
    pub(crate) fn new(rate: Option<f64>) -> Self {
        Self { rate, beside: String::new() }
    }

    /// The same load under named circumstances.
    pub(crate) fn beside(self, what: impl Into<String>) -> Self {
        Self { beside: what.into(), ..self }
    }

    /// Its name in reports.
    pub(crate) fn name(&self, connections: usize) -> String {
        let rate = self.rate.map(|rate| format!("{rate}/s"));
        let beside = (!self.beside.is_empty()).then(|| self.beside.clone());
        let parts = [rate, Some(counted(connections, "connection")), beside];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// A count with its noun.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl RequestBenchmark {
    /// Requests that change nothing.
    pub(crate) fn reads(
        target: &Arc<Target>,
        work: &str,
        load: &Load,
        workloads: impl IntoIterator<Item = Box<dyn Workload>>,
    ) -> Box<dyn Benchmark> {
        Self::boxed(target, work, load, workloads, false)
    }

    /// Requests each of which is a change.
    pub(crate) fn changes(
        target: &Arc<Target>,
        work: &str,
        load: &Load,
        workloads: impl IntoIterator<Item = Box<dyn Workload>>,
    ) -> Box<dyn Benchmark> {
        Self::boxed(target, work, load, workloads, true)
    }

    fn boxed(
        target: &Arc<Target>,
        work: &str,
        load: &Load,
        workloads: impl IntoIterator<Item = Box<dyn Workload>>,
        are_changes: bool,
    ) -> Box<dyn Benchmark> {
        let pool = WorkerPool::new(&target.addresses, workloads);
        let heading = Heading {
            work: work.to_owned(),
            load: load.name(pool.connections()),
            merit: if load.rate.is_some() { Merit::Latency } else { Merit::Rate },
            has_cost: true,
        };
        Box::new(Self { target: Arc::clone(target), heading, pool, load: load.clone(), are_changes })
    }
}

impl Benchmark for RequestBenchmark {
    fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn headings(&self) -> Vec<Heading> {
        vec![self.heading.clone()]
    }

    fn run_slice<'t>(&'t mut self, slice: Duration, samples: &'t [SharedSample]) -> SliceFuture<'t> {
        Box::pin(async move {
            let pace = self.load.rate.map_or(Pace::Closed(slice), |rate| Pace::Open(rate, slice));
            self.pool.work(pace, &samples[0]).await?;
            if self.are_changes {
                self.target.add_changes(samples[0].lock().done());
            }
            Ok(())
        })
    }
}

/// A benchmark of the baseline under the same load, if the run has one.
pub(crate) fn baseline(run: &Run, connections: usize, load: &Load) -> Option<Box<dyn Benchmark>> {
    let baseline = run.fleet.baseline.as_ref()?;
    Some(RequestBenchmark::reads(baseline, "bare hyper, 900 bytes", load, (0..connections).map(|_| Bare::boxed())))
}

/// Interleaves benchmarks for as many rounds as the options say, after one that warms up, and adds their rows to the report.
pub(crate) async fn interleave(run: &mut Run, benchmarks: Vec<Box<dyn Benchmark>>) -> Result<()> {
    let rounds = run.options.rounds();
    interleave_rounds(run, benchmarks, rounds, true).await
}

/// The same for a number of rounds, with or without warming up.
pub(crate) async fn interleave_rounds(
    run: &mut Run,
    mut benchmarks: Vec<Box<dyn Benchmark>>,
    rounds: usize,
    warms_up: bool,
) -> Result<()> {
    let mut rows: Vec<Vec<Row>> = benchmarks.iter().map(|benchmark| rows(benchmark.as_ref())).collect();
    for round in usize::from(!warms_up)..=rounds {
        for (benchmark, rows) in benchmarks.iter_mut().zip(&mut rows) {
            let samples: Vec<_> = rows.iter().map(|_| Sample::shared()).collect();
            let target = Arc::clone(benchmark.target());
            let Heading { work, load, .. } = &rows[0].heading;
            let turn = if round == 0 { "warming up".to_owned() } else { format!("turn {round} of {rounds}") };
            let name = if target.name.is_empty() { String::new() } else { format!(" ({})", target.name) };
            run.progress.set_phase(format!("{turn}: {work}, {load}{name}"), Some(&samples[0]));
            let (before, made) = (target.usage()?, target.changes());
            benchmark.run_slice(run.options.slice, &samples).await?;
            let usage = used(&target, &before)?;
            let drained = match &target.audit {
                Some(_) => {
                    run.progress.set_phase(format!("{turn}: the audit writes what {work} has made"), None);
                    let drained = target.wait_for_audit().await?;
                    (target.changes() > made).then_some(drained)
                }
                None => None,
            };
            // The first round warms up.
            if round > 0 {
                for (row, sample) in rows.iter_mut().zip(samples) {
                    let sample = sample.lock().clone();
                    let usage = row.heading.has_cost.then(|| usage.clone());
                    row.slices.push(Slice { sample, usage, drained });
                }
            }
        }
    }
    run.report.rows.extend(rows.into_iter().flatten());
    Ok(())
}

fn rows(benchmark: &dyn Benchmark) -> Vec<Row> {
    let target = &benchmark.target().name;
    let row = |heading| Row { heading, target: target.clone(), slices: Vec::new() };
    benchmark.headings().into_iter().map(row).collect()
}

fn used(target: &Target, before: &Usage) -> io::Result<Usage> {
    Ok(target.usage()?.since(before))
}
