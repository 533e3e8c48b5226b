//! A target of measurements, of one instance or more: its addresses, the cost of its processes, and its own metrics. Does not
//! know who started it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::generator::failure::{Failure, Result};
use crate::generator::http::{Client, request};

use super::process::Process;

/// How long the audit may take to write what a slice of time has made.
const AUDIT_PATIENCE: Duration = Duration::from_secs(300);
/// How often its metrics are read meanwhile.
const AUDIT_PAUSE: Duration = Duration::from_millis(20);

/// A server that is measured.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// The addresses of its instances.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The processes of its instances, as far as they are known.
    pub(crate) instances: Vec<Process>,
    /// Processes that work for it: Redis, PostgreSQL.
    pub(crate) helpers: Vec<(&'static str, Process)>,
    pub(crate) audit: Option<Audit>,
}

/// The progress of the audit.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Changes that were written before the run.
    before: AtomicU64,
    /// Changes that were made since.
    made: AtomicU64,
}

/// Processor time, in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Of all instances; `None` when their processes are not known.
    pub(crate) server_s: Option<f64>,
    pub(crate) helpers_s: Vec<(&'static str, f64)>,
    /// Of the generator.
    pub(crate) own_s: f64,
}

impl Usage {
    /// The time used since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let helpers = self.helpers_s.iter().zip(&before.helpers_s);
        Self {
            server_s: self.server_s.zip(before.server_s).map(|(now, then)| now - then),
            helpers_s: helpers.map(|((name, now), (_, then))| (*name, now - then)).collect(),
            own_s: self.own_s - before.own_s,
        }
    }
}

impl Audit {
    /// What the server must count as written in the end.
    fn all(&self) -> u64 {
        self.before.load(Ordering::Relaxed) + self.made.load(Ordering::Relaxed)
    }
}

impl Target {
    /// A server of which only the addresses are known.
    pub(crate) fn at(name: &str, addresses: Vec<SocketAddr>) -> Self {
        Self { name: name.to_owned(), addresses, instances: Vec::new(), helpers: Vec::new(), audit: None }
    }

    /// Its first instance.
    pub(crate) fn first(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Processor time used so far.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let mut server_s = (!self.instances.is_empty()).then_some(0.0);
        for instance in &self.instances {
            server_s = server_s.map(|sum| sum + instance.cpu_s().unwrap_or_default());
        }
        let helpers = self.helpers.iter().map(|(name, process)| Ok((*name, process.tree_cpu_s()?)));
        let helpers_s = helpers.collect::<io::Result<_>>()?;
        Ok(Usage { server_s, helpers_s, own_s: Process::own().cpu_s()? })
    }

    /// Resident memory of all instances in bytes, if their processes are known.
    pub(crate) fn memory(&self) -> Option<u64> {
        let memory = self.instances.iter().map(|instance| instance.memory().ok()).sum::<Option<u64>>()?;
        (memory > 0).then_some(memory)
    }

    /// A series of its metrics, summed over instances.
    pub(crate) async fn metric(&self, series: &str) -> Result<f64> {
        let mut sum = 0.0;
        for address in &self.addresses {
            let mut client = Client::open(*address).await?;
            let response = client.ask(&request("GET", "/metrics", "")).await?;
            let text = String::from_utf8_lossy(response.body);
            let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            sum += line.and_then(|value| value.parse::<f64>().ok()).ok_or_else(|| response.wrong(series))?;
        }
        Ok(sum)
    }

    /// Counts changes that the audit has to write.
    pub(crate) fn add_changes(&self, changes: u64) {
        if let Some(audit) = &self.audit {
            audit.made.fetch_add(changes, Ordering::Relaxed);
        }
    }

    /// How many changes were counted.
    pub(crate) fn changes(&self) -> u64 {
        self.audit.as_ref().map_or(0, |audit| audit.made.load(Ordering::Relaxed))
    }

    /// Counts what the audit writes from now on.
    pub(crate) async fn begin_audit(&self) -> Result<()> {
        if let Some(audit) = &self.audit {
            audit.before.store(self.written().await?, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many changes the audit has not written.
    pub(crate) async fn unwritten(&self) -> Result<u64> {
        self.unwritten_of(0).await
    }

    /// The same with `more` changes that were not counted yet.
    pub(crate) async fn unwritten_of(&self, more: u64) -> Result<u64> {
        let Some(audit) = &self.audit else { return Ok(0) };
        Ok((audit.all() + more).saturating_sub(self.written().await?))
    }

    /// How many changes were written that no request made.
    pub(crate) async fn surplus(&self) -> Result<u64> {
        let Some(audit) = &self.audit else { return Ok(0) };
        Ok(self.written().await?.saturating_sub(audit.all()))
    }

    /// Waits until the audit has written everything, so that what one slice of time has made does not cost the next; says
    /// how long that took.
    pub(crate) async fn wait_for_audit(&self) -> Result<Duration> {
        let start = Instant::now();
        while self.unwritten().await? > 0 {
            if start.elapsed() > AUDIT_PATIENCE {
                let left = self.unwritten().await?;
                return Err(Failure::Wrong(format!("{left} changes are not written after {AUDIT_PATIENCE:?}")));
            }
            tokio::time::sleep(AUDIT_PAUSE).await;
        }
        Ok(start.elapsed())
    }

    async fn written(&self) -> Result<u64> {
        Ok(self.metric("synckairos_audit_written_total").await? as u64)
    }
}
