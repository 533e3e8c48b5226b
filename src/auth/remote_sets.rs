//! Sets of public keys at URLs: what each held when it was read last, and when it is to be read again. A set is read ahead of time, and
//! once for all who name a key that it does not hold, at most each 30 s. Does not know what its keys may do.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use crate::clock::{Clock, Moment};
use crate::outbound::{Fetched, OutboundClient, OutboundUrl};
use crate::runtime::time;
use crate::wire::{self, Jwk, Malformed};

use super::key_material::check_set;

/// How often a set is read whose server does not say how long it is true.
const PERIOD: Duration = Duration::from_secs(10 * 60);
/// What its server may say, at least and at most.
const PERIOD_MIN: Duration = Duration::from_secs(60);
const PERIOD_MAX: Duration = Duration::from_secs(60 * 60);
/// When a set is read again that could not be read, and how often one is that does not hold a key.
const COOLDOWN: Duration = Duration::from_secs(30);
/// How long a set counts that cannot be read again.
const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a request waits for a set.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of each set.
pub(super) type RemoteKeys = HashMap<Arc<str>, Arc<[Jwk]>>;

/// The sets.
#[derive(Debug)]
pub struct RemoteSets {
    /// Whose certificates their servers may show.
    authorities: Option<PathBuf>,
    clock: Clock,
    sets: Mutex<HashMap<Arc<str>, RemoteSet>>,
    /// A set is to be read at once.
    wanted: Notify,
}

#[derive(Debug)]
struct RemoteSet {
    /// The last that was right, and when it was read.
    good: Option<(Arc<[Jwk]>, Moment)>,
    due_at: Moment,
    /// When somebody named a key that it did not hold.
    missed_at: Option<Moment>,
    is_being_read: bool,
    /// Grows whenever it was read, or could not be.
    reads: watch::Sender<u64>,
    trouble: Option<String>,
}

impl RemoteSets {
    /// None yet.
    pub fn new(authorities: Option<PathBuf>, clock: Clock) -> Self {
        Self { authorities, clock, sets: Mutex::default(), wanted: Notify::new() }
    }

    /// These are the sets from now on.
    pub(super) fn follow<'u>(&self, urls: impl Iterator<Item = &'u Arc<str>>) {
        let now = self.clock.moment();
        let mut sets = self.sets.lock();
        let mut known = std::mem::take(&mut *sets);
        for url in urls {
            let set = known.remove(url).unwrap_or_else(|| {
                self.wanted.notify_one();
                RemoteSet {
                    good: None,
                    due_at: now,
                    missed_at: None,
                    is_being_read: false,
                    reads: watch::Sender::new(0),
                    trouble: Some("it was not read yet".to_owned()),
                }
            });
            sets.insert(Arc::clone(url), set);
        }
    }

    /// What is known of each that is known of at all.
    pub(super) fn keys(&self) -> RemoteKeys {
        let now = self.clock.moment();
        let sets = self.sets.lock();
        let good = sets.iter().filter_map(|(url, set)| {
            let (keys, read_at) = set.good.as_ref()?;
            (now.since(*read_at) < AGE_MAX).then(|| (Arc::clone(url), Arc::clone(keys)))
        });
        good.collect()
    }

    /// What is wrong with each.
    pub(super) fn troubles(&self) -> Vec<String> {
        let sets = self.sets.lock();
        sets.iter().filter_map(|(url, set)| Some(format!("{url}: {}", set.trouble.as_ref()?))).collect()
    }

    /// Nobody reads any now.
    pub(super) fn begin(&self) {
        self.sets.lock().values_mut().for_each(|set| set.is_being_read = false);
    }

    /// Waits until a set is to be read at once.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The sets that whoever asks has to read now.
    pub(super) fn due(&self) -> Vec<Arc<str>> {
        let now = self.clock.moment();
        let mut sets = self.sets.lock();
        let due = sets.iter_mut().filter(|(_, set)| !set.is_being_read && now >= set.due_at);
        due.map(|(url, set)| {
            set.is_being_read = true;
            Arc::clone(url)
        })
        .collect()
    }

    /// Reads a set; whether that went well.
    pub(super) async fn read(&self, url: &Arc<str>) -> bool {
        let read = self.fetch(url).await;
        let now = self.clock.moment();
        let mut sets = self.sets.lock();
        let Some(set) = sets.get_mut(url) else { return true };
        match read {
            Ok((keys, period)) => {
                if set.trouble.take().is_some() {
                    info!(url = &**url, "a set of keys was read");
                }
                set.good = Some((keys.into(), now));
                set.due_at = now + period;
                true
            }
            Err(why) => {
                if set.trouble.as_ref() != Some(&why) {
                    warn!(url = &**url, why, "a set of keys cannot be read: what it held counts on for a day");
                }
                set.trouble = Some(why);
                set.due_at = now + COOLDOWN;
                false
            }
        }
    }

    /// A set was read, and what came of it counts.
    pub(super) fn end(&self, url: &Arc<str>) {
        if let Some(set) = self.sets.lock().get_mut(url) {
            set.is_being_read = false;
            set.reads.send_modify(|reads| *reads += 1);
        }
    }

    async fn fetch(&self, url: &str) -> Result<(Vec<Jwk>, Duration), String> {
        let url = OutboundUrl::parse(url)?;
        let client = OutboundClient::new(self.authorities.as_deref())?;
        let Fetched { body, max_age } = client.get(&url).await.map_err(|error| error.to_string())?;
        let text = str::from_utf8(&body).map_err(|_| "it is no text".to_owned())?;
        let keys = wire::jwk_set(text).map_err(|Malformed(why)| why)?;
        check_set(&keys)?;
        Ok((keys, max_age.unwrap_or(PERIOD).clamp(PERIOD_MIN, PERIOD_MAX)))
    }

    /// Has sets read again that do not hold a key, unless that was done a moment ago, and waits a little until they were. One that was
    /// being read, and brought nothing new, may have been asked for before the key was there: it is asked for again.
    pub(super) async fn refresh(&self, urls: &[Arc<str>]) {
        let all = async {
            let before = self.keys();
            let on_their_way = self.ask(urls).await;
            let now = self.keys();
            let unchanged: Vec<_> = on_their_way.into_iter().filter(|url| before.get(url) == now.get(url)).collect();
            self.ask(&unchanged).await;
        };
        // What has come by then is judged.
        let _ = time::timeout(PATIENCE, all).await;
    }

    /// The same, once; returns those that were being read already.
    async fn ask(&self, urls: &[Arc<str>]) -> Vec<Arc<str>> {
        let (mut waits, mut on_their_way) = (Vec::new(), Vec::new());
        {
            let now = self.clock.moment();
            let mut sets = self.sets.lock();
            for url in urls {
                let Some(set) = sets.get_mut(url) else { continue };
                if set.is_being_read {
                    on_their_way.push(Arc::clone(url));
                } else if set.good.is_some() && set.missed_at.is_none_or(|at| now.since(at) >= COOLDOWN) {
                    set.missed_at = Some(now);
                    set.due_at = now;
                    self.wanted.notify_one();
                }
                if set.is_being_read || now >= set.due_at {
                    waits.push(set.reads.subscribe());
                }
            }
        }
        for reads in &mut waits {
            let _ = reads.changed().await;
        }
        on_their_way
    }
}
