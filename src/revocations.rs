//! Revocations: keeps what somebody revokes where it outlives the process and other instances hear of it, and learns what they
//! have revoked. All of them are in memory, and what is known stays so when a store is away or has lost it. Does not know who may
//! revoke, nor what becomes of a token.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::auth::Authenticator;
use crate::engine::{Millis, Timestamp};
use crate::readiness::Finding;
use crate::runtime::time;
use crate::store::{BoxFuture, KeptRevocations, RevocationStore, StoreError};
use crate::wire::{Revocation, RevocationRequest, RevocationTarget};

/// How often they are read again, whatever was heard.
const READ_PERIOD: Duration = Duration::from_secs(30);
/// How soon after that has failed, at first and at last.
const RETRY_PERIOD_MIN: Duration = Duration::from_millis(250);
const RETRY_PERIOD_MAX: Duration = Duration::from_secs(8);
/// How often those are forgotten that are over.
const FORGET_PERIOD: Duration = Duration::from_secs(1);
/// So many that are over are worth a write of their own.
const OVER_MAX: usize = 1_000;

/// Where revocations are kept, each beyond the one before.
#[derive(Clone, Default)]
pub struct RevocationStores {
    /// What all instances read; without it they end with the process.
    pub store: Option<Arc<dyn RevocationStore>>,
    /// What that is filled from when it has lost its own.
    pub archive: Option<Arc<dyn RevocationStore>>,
}

/// The revocations of an [`Authenticator`].
pub struct Revocations {
    authenticator: Arc<Authenticator>,
    stores: RevocationStores,
    learning: Mutex<LearningState>,
    /// One is kept after the other.
    turn: AsyncMutex<()>,
    /// Something was revoked here.
    revoked: Notify,
}

/// What is known of the stores.
#[derive(Default)]
struct LearningState {
    /// All that the store had when it was read last is known.
    is_read: bool,
    /// It was read once.
    is_known: bool,
    archived: HashMap<RevocationTarget, Revocation>,
    trouble: Option<String>,
}

/// Something that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedRevocation {
    /// What, and until when.
    pub revocation: Revocation,
    /// It outlives the process.
    pub is_durable: bool,
}

/// Why something was not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationRefusal {
    /// It would be over at once.
    Over,
    /// There are as many as there may be.
    Full,
    /// The store does not keep it.
    Store(StoreError),
}

impl From<StoreError> for RevocationRefusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Revocations {
    /// Those of an authenticator, which takes no token until they are known if they are kept somewhere.
    pub fn new(authenticator: Arc<Authenticator>, stores: RevocationStores) -> Self {
        if stores.store.is_some() {
            authenticator.know_revocations(false);
        }
        let (learning, turn, revoked) = (Mutex::default(), AsyncMutex::default(), Notify::new());
        Self { authenticator, stores, learning, turn, revoked }
    }

    /// Revokes tokens, here at once and elsewhere as soon as that is heard.
    pub async fn revoke(&self, request: RevocationRequest) -> Result<AcceptedRevocation, RevocationRefusal> {
        let _turn = self.turn.lock().await;
        let now = self.authenticator.clock().time_of_day();
        let (lifetime_s, leeway_s) = self.authenticator.token_lifetime_s();
        let last = now + Millis::new(lifetime_s.saturating_mul(1_000));
        let until = request.until.unwrap_or(last).min(last);
        if until <= now {
            return Err(RevocationRefusal::Over);
        }
        let issued_before = match request.target {
            // It names one token, whenever that was made.
            RevocationTarget::Token(_) => request.issued_before,
            RevocationTarget::Subject(_) | RevocationTarget::SubjectIn(..) => {
                Some(request.issued_before.unwrap_or(now))
            }
        };
        let issued_before = issued_before.map(|before| before.min(now));
        let revocation = Revocation { target: request.target, issued_before, until };
        // The last token that is meant may count for so long after its end.
        let kept_until = if until == last { until + Millis::new(leeway_s.saturating_mul(1_000)) } else { until };
        let kept = Revocation { until: kept_until, ..revocation.clone() };
        if self.stores.store.is_some() && !self.learning.lock().is_known {
            let why = "It is not known yet which tokens were revoked";
            return Err(RevocationRefusal::Store(StoreError::Unavailable(why)));
        }
        let joined = self.authenticator.joined_revocation(&kept).ok_or(RevocationRefusal::Full)?;
        if let Some(store) = &self.stores.store {
            let replaced = self.authenticator.revocation_of(&joined.target).filter(|known| *known != joined);
            store.keep(vec![joined.clone()], replaced.into_iter().collect()).await?;
        }
        self.authenticator.revoke([&joined]);
        self.revoked.notify_one();
        Ok(AcceptedRevocation { revocation, is_durable: self.stores.store.is_some() })
    }

    /// Reads them and goes on; runs until it is dropped.
    pub async fn keep(&self) {
        let (mut heard, mut retry) = (self.heard(), RETRY_PERIOD_MIN);
        loop {
            let pause = match self.learn().await {
                Ok(()) => {
                    retry = RETRY_PERIOD_MIN;
                    READ_PERIOD
                }
                Err(_) => {
                    let pause = retry;
                    retry = (2 * retry).min(RETRY_PERIOD_MAX);
                    pause
                }
            };
            let mut read = pin!(time::sleep(pause));
            loop {
                tokio::select! {
                    biased;
                    revocations = &mut heard => {
                        heard = self.heard();
                        if revocations.is_empty() {
                            break;
                        }
                        self.authenticator.revoke(&revocations);
                        self.note(self.archive().await);
                    }
                    () = self.revoked.notified() => self.note(self.archive().await),
                    () = &mut read => break,
                    () = time::sleep(FORGET_PERIOD) => {
                        if self.authenticator.forget_ended_revocations() {
                            // A clock that was set for a while may have ended some.
                            self.learning.lock().is_read = false;
                        }
                    }
                }
            }
        }
    }

    fn heard(&self) -> BoxFuture<'_, Vec<Revocation>> {
        match &self.stores.store {
            Some(store) => store.heard(),
            None => Box::pin(std::future::pending()),
        }
    }

    /// Reads what is kept, and keeps what is known and missing there.
    pub async fn learn(&self) -> Result<(), StoreError> {
        let learnt = match self.read().await {
            Ok(()) => self.archive().await,
            failed => failed,
        };
        self.note(learnt.clone());
        learnt
    }

    async fn read(&self) -> Result<(), StoreError> {
        let Some(store) = &self.stores.store else { return Ok(()) };
        let (is_read, is_known) = {
            let mut learning = self.learning.lock();
            (std::mem::take(&mut learning.is_read), learning.is_known)
        };
        if let Some(KeptRevocations { revocations, is_empty }) = store.kept(is_read).await? {
            let archived = match (is_known, is_empty) {
                (true, false) => Vec::new(),
                // Nobody here knows what is lost.
                (false, true) => self.archived().await?,
                (true, true) | (false, false) => self.archived().await.unwrap_or_default(),
            };
            self.authenticator.revoke(revocations.iter().chain(&archived));
            self.learning.lock().is_known = true;
            self.authenticator.know_revocations(true);
            let now = self.authenticator.clock().time_of_day();
            let there: HashSet<_> = revocations.iter().collect();
            let mut missing = self.authenticator.revocations();
            missing.retain(|known| !there.contains(known));
            let over: Vec<_> = revocations.iter().filter(|one| self.is_over(one, now)).cloned().collect();
            if is_empty || !missing.is_empty() || over.len() >= OVER_MAX {
                store.keep(missing, over).await?;
            }
        }
        self.learning.lock().is_read = true;
        Ok(())
    }

    /// Whether one that is kept says nothing that another one does not say.
    fn is_over(&self, kept: &Revocation, now: Timestamp) -> bool {
        kept.until <= now || self.authenticator.revocation_of(&kept.target).is_some_and(|known| known != *kept)
    }

    async fn archived(&self) -> Result<Vec<Revocation>, StoreError> {
        let Some(archive) = &self.stores.archive else { return Ok(Vec::new()) };
        Ok(archive.kept(false).await?.unwrap_or_default().revocations)
    }

    /// Keeps in the archive what is not there yet.
    async fn archive(&self) -> Result<(), StoreError> {
        let Some(archive) = &self.stores.archive else { return Ok(()) };
        let all: HashMap<_, _> =
            self.authenticator.revocations().into_iter().map(|known| (known.target.clone(), known)).collect();
        let new: Vec<_> = {
            let archived = &self.learning.lock().archived;
            all.values().filter(|known| archived.get(&known.target) != Some(known)).cloned().collect()
        };
        if !new.is_empty() {
            archive.keep(new, Vec::new()).await?;
        }
        self.learning.lock().archived = all;
        Ok(())
    }

    fn note(&self, outcome: Result<(), StoreError>) {
        self.learning.lock().trouble = outcome.err().map(|error| match error {
            StoreError::Unavailable(why) => why.to_owned(),
            StoreError::UnknownOutcome => "a connection was lost".to_owned(),
            StoreError::Unreadable
            | StoreError::Newer
            | StoreError::TooNew
            | StoreError::Broken
            | StoreError::Fault => "what is kept cannot be read".to_owned(),
        });
    }

    /// What is wrong with them now.
    pub fn trouble(&self) -> Option<Finding> {
        let learning = self.learning.lock();
        match &learning.trouble {
            _ if self.stores.store.is_some() && !learning.is_known => {
                let why = learning.trouble.as_deref().unwrap_or("they are being read");
                Some(Finding::NotReady(format!("it is not known what was revoked: {why}")))
            }
            Some(why) => Some(Finding::Degraded(format!("what is revoked now may not be kept or heard: {why}"))),
            None => None,
        }
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revocations")
    }
}
