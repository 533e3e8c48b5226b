//! Keeps the keys that count up to date: reads them again, and takes what is right as a whole. Whatever is wrong changes nothing and
//! is told. Does not know when to look.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing::{info, warn};

use super::authenticator::Authenticator;
use super::key_set::KeySet;
use super::key_sources::KeySources;

/// Looks after the keys of an [`Authenticator`].
pub struct KeyKeeper {
    sources: KeySources,
    authenticator: Arc<Authenticator>,
    failures: Counter,
    /// What is wrong with what stands there now.
    trouble: Mutex<Option<String>>,
}

impl KeyKeeper {
    /// Keeps the keys of `sources`, and counts failures.
    pub fn new(sources: KeySources, authenticator: Arc<Authenticator>, failures: Counter) -> Self {
        Self { sources, authenticator, failures, trouble: Mutex::default() }
    }

    /// What counts failures; it is there without keys, too.
    pub fn register_failures(registry: &mut Registry) -> Counter {
        let failures = Counter::default();
        let help = "How often keys were read again and could not be used";
        registry.register("synckairos_auth_reload_failures", help, failures.clone());
        failures
    }

    /// Reads the keys again. Blocks while files are read.
    pub fn look(&self) {
        let mut trouble = self.trouble.lock();
        match self.sources.load() {
            Ok(keys) => {
                *trouble = None;
                if !self.authenticator.has_same(&keys) {
                    log_unknown(&keys);
                    self.authenticator.replace(keys);
                    info!("keys have changed");
                }
            }
            Err(problems) => {
                let told = problems.join("; ");
                self.failures.inc();
                if trouble.as_ref() != Some(&told) {
                    warn!(why = told, "keys cannot be read again: those from before count on");
                    *trouble = Some(told);
                }
            }
        }
    }

    /// What is wrong with the keys that stand there now; those from before count.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}

/// Permissions that nobody knows may be spelled wrong, or those of a newer server.
pub fn log_unknown(keys: &KeySet) {
    for permission in &keys.unknown {
        warn!(permission, "a key allows something that this server does not know: it allows nothing");
    }
}
