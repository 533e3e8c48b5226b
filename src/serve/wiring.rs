//! What the parts are wired with while a server starts: settings, the clock, metrics, readiness, tasks. Does not know the parts.

use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Millis;
use crate::logging;
use crate::process::ProcessCollector;
use crate::readiness::{Finding, Readiness};
use crate::shutdown::Shutdown;
use crate::store::{Lifetimes, Metrics};
use crate::supervision::Supervisor;

/// Grows while the parts are put together.
pub(super) struct Wiring<'c> {
    pub(super) config: &'c Config,
    pub(super) clock: Clock,
    pub(super) shutdown: Shutdown,
    pub(super) registry: Registry,
    pub(super) readiness: Readiness,
    pub(super) supervisor: Supervisor,
    /// They end when the server does.
    pub(super) tasks: JoinSet<()>,
}

impl<'c> Wiring<'c> {
    /// Nothing but what the process has anyway.
    pub(super) fn new(config: &'c Config, shutdown: Shutdown) -> Self {
        let (clock, mut registry) = (Clock::system(), Registry::default());
        registry.register_collector(Box::new(ProcessCollector::new(clock.now())));
        let supervisor = Supervisor::register(&mut registry);
        logging::register(&mut registry);
        Self { config, clock, shutdown, registry, readiness: Readiness::default(), supervisor, tasks: JoinSet::new() }
    }

    pub(super) fn store_metrics(&mut self) -> Metrics {
        Metrics::register(&mut self.registry, self.supervisor.clone())
    }

    /// A server that is about to stop is not ready.
    pub(super) fn report_shutdown(&mut self) {
        let shutdown = self.shutdown.clone();
        let finding = move || shutdown.is_announced().then(|| Finding::NotReady("it is about to stop".to_owned()));
        self.readiness.add("server", finding);
    }

    /// How long sessions are kept.
    pub(super) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            pending: Millis::new(self.config.lifetime_pending.as_millis() as u64),
            idle: Millis::new(self.config.lifetime_idle.as_millis() as u64),
            ended: Millis::new(self.config.lifetime_ended.as_millis() as u64),
        }
    }
}
