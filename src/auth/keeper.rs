//! Keeps the keys that count up to date: reads them again, and takes what is right as a whole. Whatever is wrong changes nothing and
//! is told. Does not know when to look.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::runtime::time;

use super::api_key::Digest;
use super::authenticator::Authenticator;
use super::key_set::KeySet;
use super::key_sources::{KeyEntries, KeySources};
use super::remote_sets::RemoteSets;

/// How long to wait before looking whether a set is due.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Looks after the keys of an [`Authenticator`].
pub struct KeyKeeper {
    sources: KeySources,
    sets: Arc<RemoteSets>,
    authenticator: Arc<Authenticator>,
    failures: Counter,
    state: Mutex<KeeperState>,
}

struct KeeperState {
    /// The last that were right.
    entries: KeyEntries,
    /// What is wrong with what stands there now.
    trouble: Option<KeyTrouble>,
}

#[derive(PartialEq, Eq)]
struct KeyTrouble {
    told: String,
    /// What was read.
    contents: Box<[Digest]>,
}

impl KeyKeeper {
    /// Reads the keys of `sources` and keeps them; counts failures.
    pub fn start(sources: KeySources, sets: RemoteSets, clock: Clock, failures: Counter) -> Result<Self, Vec<String>> {
        let (sets, entries) = (Arc::new(sets), sources.read());
        let keys = entries.assemble(&sets.keys())?;
        log_unknown(&keys);
        sets.follow(entries.urls());
        let authenticator = Arc::new(Authenticator::new(keys, clock).with_sets(Arc::clone(&sets)));
        let state = Mutex::new(KeeperState { entries, trouble: None });
        Ok(Self { sources, sets, authenticator, failures, state })
    }

    /// What counts failures; it is there without keys, too.
    pub fn register_failures(registry: &mut Registry) -> Counter {
        let failures = Counter::default();
        let help = "How often keys were read again and could not be used";
        registry.register("synckairos_auth_reload_failures", help, failures.clone());
        failures
    }

    /// Who finds out by these keys who somebody is.
    pub fn authenticator(&self) -> &Arc<Authenticator> {
        &self.authenticator
    }

    /// Reads the keys again. Blocks while files are read. What is wrong counts once, however often it is looked at.
    pub fn look(&self) {
        let mut state = self.state.lock();
        let entries = self.sources.read();
        match entries.assemble(&self.sets.keys()) {
            Ok(keys) => {
                self.sets.follow(entries.urls());
                if state.trouble.is_some() {
                    info!("keys can be read again");
                }
                *state = KeeperState { entries, trouble: None };
                self.count(keys);
            }
            Err(problems) => {
                let trouble = KeyTrouble { told: problems.join("; "), contents: entries.contents().into() };
                if state.trouble.as_ref() != Some(&trouble) {
                    self.failures.inc();
                    warn!(why = trouble.told, "keys cannot be read again: those from before count on");
                    state.trouble = Some(trouble);
                }
                // What sets at URLs hold may be other keys by now.
                if let Ok(keys) = state.entries.assemble(&self.sets.keys()) {
                    self.count(keys);
                }
            }
        }
    }

    /// Reads sets at URLs whenever they are due, each by itself.
    pub async fn keep_sets(&self) {
        self.sets.begin();
        let mut reading = FuturesUnordered::new();
        loop {
            reading.extend(self.sets.due().into_iter().map(|url| self.read_set(url)));
            tokio::select! {
                biased;
                Some(()) = reading.next(), if !reading.is_empty() => {}
                () = self.sets.wanted() => {}
                () = time::sleep(LOOK_PERIOD) => {}
            }
        }
    }

    /// Reads those that are due now.
    pub async fn read_due_sets(&self) {
        let mut reading: FuturesUnordered<_> = self.sets.due().into_iter().map(|url| self.read_set(url)).collect();
        while reading.next().await.is_some() {}
    }

    async fn read_set(&self, url: Arc<str>) {
        if !self.sets.read(&url).await {
            self.failures.inc();
        }
        self.count_sets();
        self.sets.end(&url);
    }

    /// What sets at URLs hold counts, beside the last entries that were right. Until it does, nobody takes other ones.
    fn count_sets(&self) {
        let state = self.state.lock();
        if let Ok(keys) = state.entries.assemble(&self.sets.keys()) {
            self.count(keys);
        }
    }

    /// These keys count.
    fn count(&self, keys: KeySet) {
        if !self.authenticator.has_same(&keys) {
            log_unknown(&keys);
            self.authenticator.replace(keys);
            info!("keys have changed");
        }
    }

    /// What is wrong with the keys that stand there now; those from before count.
    pub fn troubles(&self) -> Vec<String> {
        let own = self.state.lock().trouble.as_ref().map(|trouble| trouble.told.clone());
        own.into_iter().chain(self.sets.troubles()).chain(self.authenticator.left_out()).collect()
    }
}

/// Permissions that nobody knows may be spelled wrong, or those of a newer server.
pub fn log_unknown(keys: &KeySet) {
    for permission in &keys.unknown {
        warn!(permission, "a key allows something that this server does not know: it allows nothing");
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    use prometheus_client::metrics::counter::Counter;

    use super::KeyKeeper;
    use crate::auth::api_key;
    use crate::auth::key_sources::KeySources;
    use crate::auth::remote_sets::RemoteSets;
    use crate::client::ClientAddress;
    use crate::clock::Clock;
    use crate::secret::Secret;

    fn write(path: &PathBuf, (key, digest): &(Secret, api_key::Digest)) {
        let id = api_key::id_of(key.reveal()).expect("it is a key");
        let entry = crate::wire::api_key_entry(id, &digest.hex(), &["*".to_owned()], &["*".to_owned()]);
        std::fs::write(path, format!(r#"{{"keys":[{entry}]}}"#)).expect("it can be written");
    }

    /// Whoever has read a set counts the entries that are there by then, and not those of a while ago.
    #[test]
    fn a_key_that_is_gone_does_not_come_back_with_a_set() {
        let path = std::env::temp_dir().join(format!("synckairos-keeper-{}.json", std::process::id()));
        let keys = [api_key::new_key("one"), api_key::new_key("two")];
        write(&path, &keys[0]);
        let sources = KeySources { keys_file: Some(path.clone()), ..KeySources::default() };
        let clock = Clock::system();
        let keeper = KeyKeeper::start(sources, RemoteSets::new(None, clock.clone()), clock, Counter::default());
        let keeper = keeper.expect("the keys are right");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    keeper.count_sets();
                    std::thread::yield_now();
                }
            });
            let mut came_back = 0;
            for n in 0..200 {
                write(&path, &keys[n % 2]);
                keeper.look();
                for _ in 0..20 {
                    let gone = keys[(n + 1) % 2].0.reveal();
                    came_back += usize::from(keeper.authenticator().identify(gone, ClientAddress::UNIX).is_ok());
                }
            }
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(came_back, 0);
        });
        std::fs::remove_file(&path).expect("it is there");
    }
}
