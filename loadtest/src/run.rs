//! A run: the servers, what is known so far, and what scenarios have in common. Does not know scenarios.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::generator::drive::Crew;
use crate::generator::errands::{Make, Step};
use crate::generator::failure::{Failure, Result};
use crate::generator::pace::Pace;
use crate::generator::sample::Sample;
use crate::generator::sessions::{LONG_MS, Numbers, Sessions};
use crate::options::Options;
use crate::progress::Progress;
use crate::report::{Report, json, page, table};
use crate::servers::Fleet;
use crate::servers::process::files_max;
use crate::servers::target::Target;

/// Connections over which sessions are made.
const MAKERS: usize = 64;
/// Files that are open beside connections.
const FILES_BESIDE: usize = 100;

/// What a scenario works with.
pub(crate) struct Run {
    pub(crate) options: Options,
    pub(crate) fleet: Fleet,
    pub(crate) maker: Maker,
    pub(crate) report: Report,
    pub(crate) progress: Progress,
}

/// Makes sessions to work with. Cloning shares their numbers.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) progress: Progress,
}

impl Run {
    /// All servers but the floor.
    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        self.fleet.targets.clone()
    }

    /// Says at once when so many connections cannot be opened, instead of in the middle of the run.
    pub(crate) fn expect_files(&self, connections: usize) -> Result<()> {
        let needed = connections + FILES_BESIDE;
        match files_max() {
            Some(most) if most < needed as u64 => {
                Err(Failure::broken(format!("{needed} open files are needed and {most} allowed: ulimit -n {needed}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A server's memory at the moment.
    pub(crate) fn memory_figure(&mut self, target: &Target, what: &str) {
        if let Some(memory) = target.memory() {
            self.report.figure(format!("{}: {what}", target.name), memory as f64 / 1e6, "MB");
        }
    }

    /// Shows and writes what the run came to.
    pub(crate) fn tell(&self) -> io::Result<()> {
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        writeln!(io::stdout(), "{}", table::text(&self.report))?;
        if let Some(path) = &self.options.json {
            write(path, &format!("{:#}\n", json::json(&self.report)))?;
        }
        if let Some(path) = &self.options.report {
            write(path, &page::page(&self.report))?;
        }
        Ok(())
    }
}

impl Maker {
    /// New sessions on a server, started, whose clocks run for half a day.
    pub(crate) async fn sessions(&self, target: &Target, count: usize) -> Result<Arc<Sessions>> {
        let sessions = self.numbers.take(count);
        self.make(target, &sessions, 0..count).await?;
        Ok(sessions)
    }

    /// Creates and starts some of the sessions that are to be.
    pub(crate) async fn make(&self, target: &Target, sessions: &Arc<Sessions>, places: Range<usize>) -> Result<()> {
        let long = Step::Create(Arc::new(|_| LONG_MS / 2));
        self.step(target, sessions, places.clone(), &long).await?;
        self.step(target, sessions, places, &Step::Start).await?;
        self.progress.doing("waiting for the audit", None);
        target.drained().await?;
        Ok(())
    }

    /// Creates or starts some sessions.
    pub(crate) async fn step(
        &self,
        target: &Target,
        sessions: &Arc<Sessions>,
        places: Range<usize>,
        step: &Step,
    ) -> Result<()> {
        let (count, sample) = (places.len(), Sample::shared());
        let what = match step {
            Step::Create(_) => "creating",
            Step::Start => "starting",
        };
        self.progress.doing(format!("{what} {count} sessions {}", target.name), Some(&sample));
        let errands = Make::boxed(sessions, places.start, step, MAKERS.min(count));
        Crew::new(&target.addresses, errands).work(Pace::Count(count as u64), &sample).await?;
        target.made(count as u64);
        Ok(())
    }
}
