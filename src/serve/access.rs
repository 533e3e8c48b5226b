//! Who may ask: the keys that count, and the task that looks after them. Does not know what is asked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::auth::{Authenticator, KeyKeeper, log_unknown};
use crate::config::{AccessMode, Address, Config};
use crate::http::AccessOptions;
use crate::readiness::Finding;
use crate::supervision::Task;

use super::wiring::Wiring;

/// How often keys are read again.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// Who may ask, and who looks after the keys.
pub(super) struct WiredAccess {
    pub(super) options: AccessOptions,
    pub(super) keeper: Option<Arc<KeyKeeper>>,
}

impl WiredAccess {
    fn open(options: AccessOptions) -> Self {
        Self { options, keeper: None }
    }
}

impl Wiring<'_> {
    /// Reads the keys, if there are any.
    pub(super) fn access(&mut self) -> io::Result<WiredAccess> {
        let failures = KeyKeeper::register_failures(&mut self.registry);
        let settings = &self.config.access;
        let (hosts, origins) = (settings.hosts.clone(), settings.origins.clone());
        let mut options =
            AccessOptions { authenticator: None, may_be_proxied: true, hosts, origins, waiting: Arc::default() };
        let sources = match &settings.mode {
            AccessMode::Open { is_said } => {
                return Ok(WiredAccess::open(AccessOptions { may_be_proxied: *is_said, ..options }));
            }
            AccessMode::Closed(sources) => sources,
        };
        let keys = sources.load().map_err(|problems| io::Error::other(problems.join("; ")))?;
        log_unknown(&keys);
        let authenticator = Arc::new(Authenticator::new(keys, self.clock.clone()));
        let keeper = Arc::new(KeyKeeper::new(sources.clone(), Arc::clone(&authenticator), failures));
        let asked = Arc::clone(&keeper);
        self.readiness.add("keys", move || {
            asked.trouble().map(|why| Finding::Degraded(format!("keys from before count on: {why}")))
        });
        let kept = Arc::clone(&keeper);
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("keys"), move || look(Arc::clone(&kept))));
        options.authenticator = Some(authenticator);
        Ok(WiredAccess { options, keeper: Some(keeper) })
    }
}

/// What is said of who may ask where the server says that it listens.
pub(super) fn summary(config: &Config) -> &'static str {
    match config.access.mode {
        AccessMode::Open { is_said: false } => "off: loopback only; behind a proxy, give keys",
        AccessMode::Open { is_said: true } => "off",
        AccessMode::Closed(_) => "on",
    }
}

async fn look(keeper: Arc<KeyKeeper>) {
    loop {
        tokio::time::sleep(LOOK_PERIOD).await;
        keeper.look();
    }
}

/// Warns of who may ask, before the server says that it listens.
pub(super) fn announce(config: &Config, address: &Address) {
    match &config.access.mode {
        AccessMode::Open { is_said: false } => {}
        AccessMode::Open { is_said: true } => {
            warn!("auth=off: whoever reaches this server can do anything");
        }
        AccessMode::Closed(_) if !address.is_loopback() && config.trusted_proxies.is_empty() => {
            warn!("keys and tokens come unencrypted unless a proxy sees to that; TRUSTED_PROXIES names it");
        }
        AccessMode::Closed(_) => {}
    }
}
