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
    rate: Option<f64>,
    /// Each is a change that the audit has to write.
    are_changes: bool,
}

impl Requests {
    /// Requests that change nothing.
    pub(crate) fn reads(
        target: &Arc<Target>,
        work: &str,
        rate: Option<f64>,
        errands: impl IntoIterator<Item = Box<dyn Errand>>,
    ) -> Box<dyn Lane> {
        Self::boxed(target, work, rate, errands, false)
    }

    /// Requests each of which is a change.
    pub(crate) fn changes(
        target: &Arc<Target>,
        work: &str,
        rate: Option<f64>,
        errands: impl IntoIterator<Item = Box<dyn Errand>>,
    ) -> Box<dyn Lane> {
        Self::boxed(target, work, rate, errands, true)
    }

    fn boxed(
        target: &Arc<Target>,
        work: &str,
        rate: Option<f64>,
        errands: impl IntoIterator<Item = Box<dyn Errand>>,
        are_changes: bool,
    ) -> Box<dyn Lane> {
        let crew = Crew::new(&target.addresses, errands);
        let heading = Heading {
            work: work.to_owned(),
            load: load(crew.connections(), rate),
            merit: if rate.is_some() { Merit::Latency } else { Merit::Rate },
        };
        Box::new(Self { target: Arc::clone(target), heading, crew, rate, are_changes })
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
            let pace = self.rate.map_or(Pace::Closed(slice), |rate| Pace::Open(rate, slice));
            self.crew.work(pace, &samples[0]).await?;
            if self.are_changes {
                self.target.made(samples[0].lock().done());
            }
            Ok(())
        })
    }
}

/// The floor under the same load, if the run has one.
pub(crate) fn floor(run: &Run, connections: usize, rate: Option<f64>) -> Option<Box<dyn Lane>> {
    let floor = run.fleet.floor.as_ref()?;
    Some(Requests::reads(floor, "bare hyper, 900 bytes", rate, (0..connections).map(|_| Bare::boxed())))
}

/// What a load is called.
pub(crate) fn load(connections: usize, rate: Option<f64>) -> String {
    let connections = match connections {
        1 => "1 connection".to_owned(),
        count => format!("{count} connections"),
    };
    match rate {
        Some(rate) => format!("{rate}/s, {connections}"),
        None => connections,
    }
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
            run.progress.doing(format!("{turn}: {work}, {load} {}", target.name), Some(&samples[0]));
            let before = target.usage()?;
            lane.turn(run.options.slice, &samples).await?;
            let usage = used(&target, &before)?;
            let drained = match &target.audit {
                Some(_) => {
                    run.progress.doing(format!("{turn}: the audit writes what {work} has made"), None);
                    Some(target.drained().await?)
                }
                None => None,
            };
            // The first round warms up.
            if round > 0 {
                for (row, sample) in rows.iter_mut().zip(samples) {
                    let sample = sample.lock().clone();
                    row.slices.push(Slice { sample, usage: usage.clone(), drained });
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
