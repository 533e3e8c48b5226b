//! A run: its servers, its report, and what scenarios share. Does not know scenarios.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::generator::failure::{Failure, Result};
use crate::generator::pace::Pace;
use crate::generator::sample::Sample;
use crate::generator::sessions::{LONG_MS, SessionIds, Sessions};
use crate::generator::worker_pool::WorkerPool;
use crate::generator::workload::{Setup, SetupStep};
use crate::options::Options;
use crate::progress::Progress;
use crate::report::{Report, json, page, table};
use crate::servers::Fleet;
use crate::servers::process::files_max;
use crate::servers::target::Target;

/// Connections that create and start sessions.
const SETUP_CONNECTIONS: usize = 64;
/// Descriptors that are open beside connections.
const FILES_BESIDE: usize = 100;

/// What a scenario measures with.
pub(crate) struct Run {
    pub(crate) options: Options,
    pub(crate) fleet: Fleet,
    pub(crate) factory: SessionFactory,
    pub(crate) report: Report,
    pub(crate) progress: Progress,
}

/// Creates and starts sessions. Clones share the ids that are allocated.
#[derive(Clone)]
pub(crate) struct SessionFactory {
    pub(crate) session_ids: Arc<SessionIds>,
    pub(crate) progress: Progress,
}

impl Run {
    /// All servers but the baseline.
    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        self.fleet.targets.clone()
    }

    /// Fails at once, instead of in the middle of the run, when so many connections cannot be opened.
    pub(crate) fn expect_files(&self, connections: usize) -> Result<()> {
        let needed = connections + FILES_BESIDE;
        match files_max() {
            Some(most) if most < needed as u64 => {
                Err(Failure::broken(format!("{needed} open files are needed and {most} allowed: ulimit -n {needed}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reports a server's memory at the moment.
    pub(crate) fn memory_figure(&mut self, target: &Target, what: &str) {
        if let Some(memory) = target.memory() {
            self.report.figure(format!("{}: {what}", target.name), memory as f64 / 1e6, "MB");
        }
    }

    /// Prints the report, and writes it into files.
    pub(crate) fn write_reports(&self) -> io::Result<()> {
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

impl SessionFactory {
    /// Creates and starts new sessions, whose clocks run for half a day.
    pub(crate) async fn sessions(&self, target: &Target, count: usize) -> Result<Arc<Sessions>> {
        let sessions = self.session_ids.take(count);
        self.make(target, &sessions, 0..count).await?;
        Ok(sessions)
    }

    /// Creates and starts some of the sessions.
    pub(crate) async fn make(&self, target: &Target, sessions: &Arc<Sessions>, indexes: Range<usize>) -> Result<()> {
        let long = SetupStep::Create(Arc::new(|_| LONG_MS / 2));
        self.step(target, sessions, indexes.clone(), &long).await?;
        self.step(target, sessions, indexes, &SetupStep::Start).await?;
        self.progress.set_phase("waiting for the audit", None);
        target.wait_for_audit().await?;
        Ok(())
    }

    /// Takes one step of the set-up of some sessions.
    pub(crate) async fn step(
        &self,
        target: &Target,
        sessions: &Arc<Sessions>,
        indexes: Range<usize>,
        step: &SetupStep,
    ) -> Result<()> {
        let (count, sample) = (indexes.len(), Sample::shared());
        let what = match step {
            SetupStep::Create(_) => "creating",
            SetupStep::Start => "starting",
        };
        self.progress.set_phase(format!("{what} {count} sessions {}", target.name), Some(&sample));
        let workloads = Setup::boxed(sessions, indexes.start, step, SETUP_CONNECTIONS.min(count));
        WorkerPool::new(&target.addresses, workloads).work(Pace::Count(count as u64), &sample).await?;
        target.add_changes(count as u64);
        Ok(())
    }
}
