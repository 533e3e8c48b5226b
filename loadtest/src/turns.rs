//! Servers and kinds of work take turns, each for a slice of time, so that a machine that drifts drifts for all of them, and
//! what is compared ran next to each other. Does not know what a turn does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::generator::drive::{Crew, Errand};
use crate::generator::errands::Bare;
use crate::generator::failure::Result;
use crate::generator::pace::Pace;
use crate::generator::sample::{Sample, Shared};
use crate::report::{Heading, Merit, Row, Slice};
use crate::run::Run;
use crate::servers::target::{Target, Usage};

/// What a turn is while it lasts.
pub(crate) type Turn<'t> = Pin<Box<dyn Future<Output = Result<()>> + 't>>;

/// Something that can be measured for a slice of time, again and again.
pub(crate) trait Lane {
    /// The server that it is done to.
    fn target(&self) -> &Arc<Target>;

    /// What is measured: the row that each sample goes into.
    fn headings(&self) -> Vec<Heading>;

    /// Does it for about so long, and takes it down in a sample for each heading.
    fn turn<'t>(&'t mut self, slice: Duration, samples: &'t [Shared]) -> Turn<'t>;
}

/// Requests of one kind over some connections.
pub(crate) struct Requests {
    target: Arc<Target>,
    heading: Heading,
    crew: Crew,
    load: Load,
    /// Each is a change that the audit has to write.
    are_changes: bool,
}

/// How much is asked for at once.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    rate: Option<f64>,
    /// Under what else, if that tells it from others.
    beside: String,
}

impl Load {
    /// Requests a second in an open loop, or as many as answers come.
    pub(crate) fn new(rate: Option<f64>) -> Self {
        Self { rate, beside: String::new() }
    }

    /// The same under circumstances that have a name.
    pub(crate) fn beside(self, what: impl Into<String>) -> Self {
        Self { beside: what.into(), ..self }
    }

    /// What it is called.
    pub(crate) fn name(&self, connections: usize) -> String {
        let rate = self.rate.map(|rate| format!("{rate}/s"));
        let beside = (!self.beside.is_empty()).then(|| self.beside.clone());
        let parts = [rate, Some(counted(connections, "connection")), beside];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// So many of something.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl Requests {
    /// Requests that change nothing.
    pub(crate) fn reads(
        target: &Arc<Target>,
        work: &str,
        load: &Load,
        errands: impl IntoIterator<Item = Box<dyn Errand>>,
    ) -> Box<dyn Lane> {
        Self::boxed(target, work, load, errands, false)
    }

    /// Requests each of which is a change.
    pub(crate) fn changes(
        target: &Arc<Target>,
        work: &str,
        load: &Load,
        errands: impl IntoIterator<Item = Box<dyn Errand>>,
    ) -> Box<dyn Lane> {
        Self::boxed(target, work, load, errands, true)
    }

    fn boxed(
        target: &Arc<Target>,
        work: &str,
        load: &Load,
        errands: impl IntoIterator<Item = Box<dyn Errand>>,
        are_changes: bool,
    ) -> Box<dyn Lane> {
        let crew = Crew::new(&target.addresses, errands);
        let heading = Heading {
            work: work.to_owned(),
            load: load.name(crew.connections()),
            merit: if load.rate.is_some() { Merit::Latency } else { Merit::Rate },
            has_cost: true,
        };
        Box::new(Self { target: Arc::clone(target), heading, crew, load: load.clone(), are_changes })
    }
}

impl Lane for Requests {
    fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn headings(&self) -> Vec<Heading> {
        vec![self.heading.clone()]
    }

    fn turn<'t>(&'t mut self, slice: Duration, samples: &'t [Shared]) -> Turn<'t> {
        Box::pin(async move {
            let pace = self.load.rate.map_or(Pace::Closed(slice), |rate| Pace::Open(rate, slice));
            self.crew.work(pace, &samples[0]).await?;
            if self.are_changes {
                self.target.made(samples[0].lock().done());
            }
            Ok(())
        })
    }
}

/// The floor under the same load, if the run has one.
pub(crate) fn floor(run: &Run, connections: usize, load: &Load) -> Option<Box<dyn Lane>> {
    let floor = run.fleet.floor.as_ref()?;
    Some(Requests::reads(floor, "bare hyper, 900 bytes", load, (0..connections).map(|_| Bare::boxed())))
}

/// Lets lanes take turns for as many rounds as the run is told, after one that warms up, and adds their rows to its report.
pub(crate) async fn in_turns(run: &mut Run, lanes: Vec<Box<dyn Lane>>) -> Result<()> {
    let rounds = run.options.rounds();
    rounds_of(run, lanes, rounds, true).await
}

/// The same for a number of rounds, with or without warming up.
pub(crate) async fn rounds_of(
    run: &mut Run,
    mut lanes: Vec<Box<dyn Lane>>,
    rounds: usize,
    warms_up: bool,
) -> Result<()> {
    let mut rows: Vec<Vec<Row>> = lanes.iter().map(|lane| rows(lane.as_ref())).collect();
    for round in usize::from(!warms_up)..=rounds {
        for (lane, rows) in lanes.iter_mut().zip(&mut rows) {
            let samples: Vec<_> = rows.iter().map(|_| Sample::shared()).collect();
            let target = Arc::clone(lane.target());
            let Heading { work, load, .. } = &rows[0].heading;
            let turn = if round == 0 { "warming up".to_owned() } else { format!("turn {round} of {rounds}") };
            let name = if target.name.is_empty() { String::new() } else { format!(" ({})", target.name) };
            run.progress.doing(format!("{turn}: {work}, {load}{name}"), Some(&samples[0]));
            let (before, made) = (target.usage()?, target.changes());
            lane.turn(run.options.slice, &samples).await?;
            let usage = used(&target, &before)?;
            let drained = match &target.audit {
                Some(_) => {
                    run.progress.doing(format!("{turn}: the audit writes what {work} has made"), None);
                    let drained = target.drained().await?;
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

fn rows(lane: &dyn Lane) -> Vec<Row> {
    let target = &lane.target().name;
    let row = |heading| Row { heading, target: target.clone(), slices: Vec::new() };
    lane.headings().into_iter().map(row).collect()
}

fn used(target: &Target, before: &Usage) -> io::Result<Usage> {
    Ok(target.usage()?.since(before))
}
