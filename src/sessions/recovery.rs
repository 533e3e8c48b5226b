//! Looks up sessions in the archive that the store does not have. A lost session is recovered; one that has ended, or whose
//! lifetime is over, is shown as it was, and only a command recovers it. Never recovers an older state than a pending one,
//! never a deleted session, and never makes more look-ups at once than the archive can bear. Does not know what becomes of a
//! recovered session.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use crate::client::ClientId;
use crate::engine::{Millis, SessionId};
use crate::hashing::HashMap;
use crate::runtime::time;
use crate::store::{
    Archive, ArchivedChanges, Bound, CommandOrigin, Commit, CommitOutcome, DecisionContext, Lifetimes, Metrics,
    PageLimit, Read, SessionStore, Snapshot, StoreError,
};
use crate::supervision::panic_point;
use crate::wire;

use super::decide;
use super::lookup_shares::{LookupPermit, LookupShares};

/// Lookups at the same time; others wait in the order in which they came.
const LOOKUPS_MAX: usize = 32;
/// Look-ups that run, wait, or found nothing a moment ago; one more is refused.
const LISTED_MAX: usize = 16_384;

/// How long it is remembered that there is no such session, or that it is over.
const REMEMBERED: Duration = Duration::from_secs(1);

const SHARE: StoreError = StoreError::Unavailable("this client has too many sessions looked for that nobody knows");
const BUSY: StoreError = StoreError::Unavailable("too many sessions are looked for in the archive");
const QUEUED: StoreError = StoreError::Unavailable("the session's last changes are on their way to the archive");
const AWAY: StoreError = StoreError::Unavailable("the archive does not answer");

/// Recovers sessions.
pub struct Recovery {
    store: Arc<dyn SessionStore>,
    archive: Arc<dyn Archive>,
    age_max: Millis,
    lifetimes: Lifetimes,
    patience: Duration,
    room: Semaphore,
    shares: LookupShares,
    metrics: Metrics,
    lookups: Counter,
    recovered: Counter,
    /// Running look-ups, so that many callers share one.
    running: Mutex<RunningLookups>,
}

/// Look-ups that are running, and the channel of each result.
type RunningLookups = HashMap<(SessionId, LookupPurpose), watch::Receiver<Option<LookupResult>>>;

/// The result of a look-up.
type LookupResult = Result<ArchiveLookup, StoreError>;

/// What a look-up finds.
#[derive(Clone, Debug)]
pub enum ArchiveLookup {
    /// There is no such session.
    Absent,
    /// The store has it again.
    Recovered,
    /// It is over: this is its last state.
    Over(Snapshot),
}

/// Why a session is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupPurpose {
    /// To be shown.
    Read,
    /// To be changed.
    Change,
    /// Because its clock ran out and it was not settled within its lifetime.
    Fire,
}

/// Limits of recovery.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryOptions {
    /// How long ago the last change may be, or the deadline if that is later.
    pub age_max: Millis,
    /// How long sessions are kept in the store: what is older was not lost.
    pub lifetimes: Lifetimes,
    /// How long a caller waits.
    pub patience: Duration,
}

/// Takes a look-up off the list when it ends, however it ends.
struct ListedLookup {
    recovery: Arc<Recovery>,
    what: (SessionId, LookupPurpose),
}

impl Drop for ListedLookup {
    fn drop(&mut self) {
        self.recovery.running.lock().remove(&self.what);
    }
}

impl Recovery {
    /// From `archive` into `store`. `registry` shows how often; `metrics` counts refusals.
    pub fn new(
        store: Arc<dyn SessionStore>,
        archive: Arc<dyn Archive>,
        options: RecoveryOptions,
        metrics: Metrics,
        registry: &mut Registry,
    ) -> Arc<Self> {
        let RecoveryOptions { age_max, lifetimes, patience } = options;
        let (lookups, recovered) = (Counter::default(), Counter::default());
        let help = "Sessions that were looked for in the archive";
        registry.register("synckairos_recovery_lookups", help, lookups.clone());
        let help = "Sessions that came back from the archive";
        registry.register("synckairos_recovery_sessions", help, recovered.clone());
        let room = Semaphore::new(LOOKUPS_MAX);
        let (shares, running) = (LookupShares::default(), Mutex::default());
        Arc::new(Self {
            store,
            archive,
            age_max,
            lifetimes,
            patience,
            room,
            shares,
            metrics,
            lookups,
            recovered,
            running,
        })
    }

    /// The archive.
    pub fn archive(&self) -> &dyn Archive {
        &*self.archive
    }

    /// How long a caller waits at most.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Looks up, for a client, a session that the store does not have.
    pub async fn look_up(
        self: &Arc<Self>,
        id: SessionId,
        purpose: LookupPurpose,
        client: Option<ClientId>,
    ) -> LookupResult {
        let mut found = self.lookup((id, purpose), client)?;
        match time::timeout(self.patience, found.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.clone().unwrap_or(Err(AWAY)),
            // The look-up ended without a result: it panicked.
            Ok(Err(_)) => Err(StoreError::Fault),
            Err(_) => Err(AWAY),
        }
    }

    /// Changes of a session, for a client.
    pub async fn changes(
        &self,
        id: SessionId,
        after: Option<wire::Cursor>,
        room: PageLimit,
        client: Option<ClientId>,
    ) -> Result<ArchivedChanges, StoreError> {
        let permit = self.begin(client)?;
        let found = self.archive.changes(id, after, room).await?;
        if found.changes.is_empty()
            && let Some(miss) = permit.missed()
        {
            self.metrics.supervisor().spawn("recovery", async move {
                time::sleep(REMEMBERED).await;
                drop(miss);
            });
        }
        Ok(found)
    }

    fn begin(&self, client: Option<ClientId>) -> Result<LookupPermit, StoreError> {
        self.shares.begin(client).ok_or_else(|| {
            self.metrics.refused(Bound::Lookups);
            SHARE
        })
    }

    /// The running look-up, or the one that found nothing a moment ago; or a new one. It runs on without callers.
    fn lookup(
        self: &Arc<Self>,
        what: (SessionId, LookupPurpose),
        client: Option<ClientId>,
    ) -> Result<watch::Receiver<Option<LookupResult>>, StoreError> {
        let mut running = self.running.lock();
        if let Some(found) = running.get(&what) {
            return Ok(found.clone());
        }
        if running.len() >= LISTED_MAX {
            self.metrics.refused(Bound::Lookups);
            return Err(BUSY);
        }
        let permit = self.begin(client)?;
        let (tell, found) = watch::channel(None);
        running.insert(what, found.clone());
        let listed = ListedLookup { recovery: Arc::clone(self), what };
        self.metrics.supervisor().spawn("recovery", async move {
            let recovery = &listed.recovery;
            let admitted = async { (permit.turn().await, recovery.room.acquire().await) };
            let found = match time::timeout(recovery.patience, admitted).await {
                Ok((_turn, Ok(_permit))) => recovery.search(what).await,
                Ok((_, Err(_))) | Err(_) => Err(BUSY),
            };
            let is_to_be_remembered = matches!(found, Ok(ArchiveLookup::Absent | ArchiveLookup::Over(_)));
            // There may be no caller any more.
            let _ = tell.send(Some(found));
            if is_to_be_remembered && let Some(_miss) = permit.missed() {
                time::sleep(REMEMBERED).await;
            }
            drop(listed);
        });
        Ok(found)
    }

    async fn search(&self, (id, purpose): (SessionId, LookupPurpose)) -> LookupResult {
        panic_point("recovery", id);
        // An unreadable session is as good as lost.
        let Read { snapshot, is_tombstoned, now } = match self.store.read(id).await {
            Err(StoreError::Unreadable) => {
                Read { snapshot: None, is_tombstoned: false, now: self.store.now_of(self.store.partition(id)).await? }
            }
            read => read?,
        };
        if snapshot.is_some() {
            return Ok(ArchiveLookup::Recovered);
        }
        if is_tombstoned {
            return Ok(ArchiveLookup::Absent);
        }
        // In this order: a change that is not pending any more has been written.
        if self.store.pending_audit(id).await?.newest.is_some() {
            return Err(QUEUED);
        }
        self.lookups.inc();
        let Some(archived) = self.archive.newest(id).await? else { return Ok(ArchiveLookup::Absent) };
        if archived.is_deleted {
            return Ok(ArchiveLookup::Absent);
        }
        let Ok(session) = wire::decode_archived(&archived.state) else {
            warn!(session = %id, "the archive holds a state that cannot be read");
            return Err(StoreError::Unreadable);
        };
        if now.since(archived.at.max(session.deadline().unwrap_or_default())) > self.age_max {
            return Ok(ArchiveLookup::Absent);
        }
        if purpose == LookupPurpose::Fire && session.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(ArchiveLookup::Absent);
        }
        let lifetime = self.lifetimes.of(session.status, session.deadline(), archived.at);
        let is_over = session.status.is_final() || archived.at + lifetime <= now;
        if is_over && purpose == LookupPurpose::Read {
            return Ok(ArchiveLookup::Over(decide::last_state(session, &archived, now)));
        }
        let origin = CommandOrigin::remembering(archived.events.keyed());
        let decide = Box::new(move |current: DecisionContext<'_>| decide::recover(&session, &archived, &current));
        let commit = Commit { id, arrival: None, rate: None, participant: None, client: None, origin, decide };
        let record = match self.store.commit(commit).await? {
            CommitOutcome::Decided(committed) => committed.record,
            // It has no limit.
            CommitOutcome::RateLimited(_) => None,
        };
        if let Some(record) = &record {
            self.recovered.inc();
            let session = record.session();
            info!(session = %id, epoch = session.epoch, version = session.version, "a session was brought back");
        }
        Ok(if record.is_some() { ArchiveLookup::Recovered } else { ArchiveLookup::Absent })
    }
}
