//! Who may ask: the keys that count, and the task that looks after them. Does not know what is asked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::auth::{Authenticator, KeyKeeper, RemoteSets};
use crate::config::{AccessMode, Address, Config};
use crate::http::AccessOptions;
use crate::readiness::Finding;
use crate::revocations::{RevocationStores, Revocations};
use crate::supervision::Task;

use super::wiring::Wiring;

/// How long a start waits for what was revoked.
const LEARN_PATIENCE: Duration = Duration::from_secs(1);
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
    /// Reads the keys, if there are any, and what was revoked of their tokens.
    pub(super) async fn access(&mut self, stores: RevocationStores) -> io::Result<WiredAccess> {
        let failures = KeyKeeper::register_failures(&mut self.registry);
        let settings = &self.config.access;
        let mut options = AccessOptions {
            authenticator: None,
            revocations: None,
            may_be_proxied: true,
            hosts: settings.hosts.clone(),
            operator_hosts: settings.operator_hosts.clone(),
            origins: settings.origins.clone(),
            waiting: Arc::default(),
        };
        let sources = match &settings.mode {
            AccessMode::Open { is_said } => {
                return Ok(WiredAccess::open(AccessOptions { may_be_proxied: *is_said, ..options }));
            }
            AccessMode::Closed(sources) => sources,
        };
        let sets = RemoteSets::new(settings.authorities.clone(), self.clock.clone());
        let keeper = KeyKeeper::start(sources.clone(), sets, self.clock.clone(), failures);
        let keeper = Arc::new(keeper.map_err(|problems| io::Error::other(problems.join("; ")))?);
        let asked = Arc::clone(&keeper);
        self.readiness.add("keys", move || {
            let troubles = asked.troubles().into_iter();
            troubles.map(|why| Finding::Degraded(format!("keys from before count on: {why}")))
        });
        let kept = Arc::clone(&keeper);
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("keys"), move || look(Arc::clone(&kept))));
        let read = Arc::clone(&keeper);
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("key sets"), move || keep_sets(Arc::clone(&read))));
        options.authenticator = Some(Arc::clone(keeper.authenticator()));
        options.revocations = Some(self.revocations(keeper.authenticator(), stores).await?);
        Ok(WiredAccess { options, keeper: Some(keeper) })
    }

    /// What was revoked, and the task that learns of it.
    async fn revocations(
        &mut self,
        authenticator: &Arc<Authenticator>,
        stores: RevocationStores,
    ) -> io::Result<Arc<Revocations>> {
        let revocations = Arc::new(Revocations::new(Arc::clone(authenticator), stores));
        // Redis may be away, and is waited for by the task.
        let is_needed = self.config.redis.is_none();
        match tokio::time::timeout(LEARN_PATIENCE, revocations.learn()).await {
            Ok(Err(_)) | Err(_) if is_needed => return Err(io::Error::other("what was revoked cannot be read")),
            Ok(Ok(()) | Err(_)) | Err(_) => {}
        }
        let asked = Arc::clone(&revocations);
        self.readiness.add("revocations", move || asked.trouble());
        let kept = Arc::clone(&revocations);
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("revocations"), move || keep(Arc::clone(&kept))));
        Ok(revocations)
    }
}

async fn keep(revocations: Arc<Revocations>) {
    revocations.keep().await;
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

async fn keep_sets(keeper: Arc<KeyKeeper>) {
    keeper.keep_sets().await;
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
