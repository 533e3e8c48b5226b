//! Brings back a session that the store does not have, from what the audit has written. Cold and careful: never
//! an older state than one that is still on its way to the audit, never one that was deleted, and never more
//! lookups at once than the archive can bear. Does not know who asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use crate::engine::{Command, Entry, Event, Judgement, Millis, Outcome, Refusal, Session, SessionId, judge};
use crate::store::{Archive, Archived, Commit, Committed, Current, Decision, Read, Store, StoreError};
use crate::wire;

use super::judged;

/// Lookups at the same time; one more is refused, so that a scan of random ids is no load.
const LOOKUPS_MAX: usize = 32;

const BUSY: StoreError = StoreError::Unavailable("too many sessions are looked for in the archive");
const QUEUED: StoreError = StoreError::Unavailable("the session's last changes are on their way to the archive");
const AWAY: StoreError = StoreError::Unavailable("the archive does not answer");

/// Brings sessions back.
pub struct Recovery {
    store: Arc<dyn Store>,
    archive: Arc<dyn Archive>,
    age_max: Millis,
    patience: Duration,
    room: Arc<Semaphore>,
    lookups: Counter,
    recovered: Counter,
    /// What is being looked for, so that many who ask for it make one lookup.
    running: Mutex<HashMap<SessionId, watch::Receiver<Option<Found>>>>,
}

/// Whether there is such a session now.
type Found = Result<bool, StoreError>;

impl Recovery {
    /// From `archive` into `store`, unless the last change is older than `age_max`. Whoever asks waits for `patience`
    /// at most. What is done is counted in `registry`.
    pub fn new(
        store: Arc<dyn Store>,
        archive: Arc<dyn Archive>,
        age_max: Millis,
        patience: Duration,
        registry: &mut Registry,
    ) -> Arc<Self> {
        let (lookups, recovered) = (Counter::default(), Counter::default());
        let help = "Sessions that were looked for in the archive";
        registry.register("synckairos_recovery_lookups", help, lookups.clone());
        let help = "Sessions that came back from the archive";
        registry.register("synckairos_recovery_sessions", help, recovered.clone());
        let room = Arc::new(Semaphore::new(LOOKUPS_MAX));
        Arc::new(Self { store, archive, age_max, patience, room, lookups, recovered, running: Mutex::default() })
    }

    /// What sessions are brought back from.
    pub fn archive(&self) -> &dyn Archive {
        &*self.archive
    }

    /// How long whoever asks waits at most.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Looks for a session that the store was found not to have; tells whether it has it now.
    pub async fn bring_back(self: &Arc<Self>, id: SessionId) -> Found {
        let mut found = self.find(id)?;
        match tokio::time::timeout(self.patience, found.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.clone().unwrap_or(Err(AWAY)),
            Ok(Err(_)) | Err(_) => Err(AWAY),
        }
    }

    /// The lookup that is running, or a new one. It goes on although nobody waits for it any more.
    fn find(self: &Arc<Self>, id: SessionId) -> Result<watch::Receiver<Option<Found>>, StoreError> {
        let mut running = self.running.lock();
        if let Some(found) = running.get(&id) {
            return Ok(found.clone());
        }
        let permit = Arc::clone(&self.room).try_acquire_owned().map_err(|_| BUSY)?;
        let (tell, found) = watch::channel(None);
        running.insert(id, found.clone());
        let recovery = Arc::clone(self);
        tokio::spawn(async move {
            let found = recovery.look_up(id).await;
            recovery.running.lock().remove(&id);
            // Nobody may be waiting any more.
            let _ = tell.send(Some(found));
            drop(permit);
        });
        Ok(found)
    }

    async fn look_up(&self, id: SessionId) -> Found {
        let Read { snapshot, is_buried, now } = self.store.read(id).await?;
        if snapshot.is_some() || is_buried {
            return Ok(snapshot.is_some());
        }
        // In this order: what is not queued any more has been written.
        if self.store.queued(id).await?.newest.is_some() {
            return Err(QUEUED);
        }
        self.lookups.inc();
        let Some(archived) = self.archive.newest(id).await? else { return Ok(false) };
        if archived.is_deleted || now.since(archived.at) > self.age_max {
            return Ok(false);
        }
        let Ok(session) = wire::decode(&archived.state) else {
            warn!(session = %id, "the archive holds a state that cannot be read");
            return Err(StoreError::Unreadable);
        };
        let decide = move |current: Current<'_>| restore(&session, &archived, &current);
        let commit = Commit { id, arrival: None, rate: None, client: None, decide: Box::new(decide) };
        let Committed { record, .. } = self.store.commit(commit).await?;
        if let Some(record) = &record {
            self.recovered.inc();
            let session = record.session();
            info!(session = %id, epoch = session.epoch, version = session.version, "a session was brought back");
        }
        Ok(record.is_some())
    }
}

/// Puts a state back if there is still nothing, with what time has done since.
fn restore(session: &Session, archived: &Archived, current: &Current<'_>) -> Decision {
    if current.record.is_some() {
        return judged::nothing(Ok(Outcome::default()));
    }
    if current.epoch > 0 {
        // It was deleted meanwhile.
        return judged::nothing(Err(Refusal::NotFound));
    }
    let before = Session { version: archived.tag.version, ..session.clone() };
    let Judgement { session, mut events, .. } = judge(&before, &Command::Settle, &Default::default(), current.now);
    let notices = judged::notices(session.id, &events, current.now);
    events.push(Event::Recovered);
    let epoch = current.now.as_ms().max(archived.tag.epoch + 1);
    let session = Session { epoch, version: archived.tag.version + 1, updated_at: current.now, ..session };
    match Entry::of(Some(&before), events, &session, current.now) {
        Some(entry) => judged::put(session, notices, entry, current.now, Ok(Outcome::default())),
        None => unreachable!("it was recovered"),
    }
}
