//! Reads: the session as it is now. Settles one whose deadline has passed and recovers one that the store has lost. Does
//! not know what clients do with it.

use crate::engine::{Refusal, SessionId, Timestamp};
use crate::store::{Countdown, Read, Snapshot, StoreError, Subscribed};

use super::recovery::{ArchiveLookup, LookupPurpose};
use super::reply::{Applied, Failure, SessionView};
use super::{Sessions, decide};

impl Sessions {
    /// The session as it is now.
    pub async fn read(&self, id: SessionId) -> Result<SessionView, Failure> {
        let (mut read, is_unreadable) = match self.inner.store.read(id).await {
            Err(StoreError::Unreadable) if self.inner.recovery.is_some() => {
                let now = self.inner.store.now_of(self.inner.store.partition(id)).await.map_err(Failure::Store)?;
                (Read { snapshot: None, is_tombstoned: false, now }, true)
            }
            read => (read.map_err(Failure::Store)?, false),
        };
        if read.snapshot.is_none() && !read.is_tombstoned {
            match self.look_up(id, LookupPurpose::Read).await? {
                ArchiveLookup::Recovered => read = self.inner.store.read(id).await.map_err(Failure::Store)?,
                ArchiveLookup::Over(snapshot) => return Ok(SessionView { snapshot, now: read.now, is_unsaved: false }),
                ArchiveLookup::Absent if is_unreadable => return Err(Failure::Store(StoreError::Unreadable)),
                ArchiveLookup::Absent => {}
            }
        }
        let Read { snapshot, now, .. } = read;
        let snapshot = snapshot.ok_or(Failure::Refused(id, Refusal::NotFound))?;
        if !snapshot.is_overdue(now) {
            return Ok(SessionView { snapshot, now, is_unsaved: false });
        }
        self.settled(id, snapshot, now).await
    }

    /// Subscribes to a session, which need not exist, and shows it as it is now.
    pub async fn subscribe(&self, id: SessionId) -> Result<Subscribed, Failure> {
        let mut watched = match self.inner.store.subscribe(id).await {
            Err(StoreError::Unreadable)
                if matches!(self.look_up(id, LookupPurpose::Read).await?, ArchiveLookup::Recovered) =>
            {
                self.inner.store.subscribe(id).await
            }
            watched => watched,
        }
        .map_err(Failure::Store)?;
        if watched.snapshot.is_none() {
            match self.look_up(id, LookupPurpose::Read).await? {
                ArchiveLookup::Recovered => {
                    let Read { snapshot, now, .. } = self.inner.store.read(id).await.map_err(Failure::Store)?;
                    let countdown = snapshot.as_ref().map(|snapshot| snapshot.countdown()).unwrap_or_default();
                    watched = Subscribed { snapshot, countdown, now, ..watched };
                }
                ArchiveLookup::Over(snapshot) => return Ok(Subscribed { snapshot: Some(snapshot), ..watched }),
                ArchiveLookup::Absent => {}
            }
        }
        let Some(snapshot) = watched.snapshot.take_if(|snapshot| snapshot.is_overdue(watched.now)) else {
            return Ok(watched);
        };
        match self.settled(id, snapshot, watched.now).await {
            Ok(SessionView { snapshot, now, .. }) => {
                Ok(Subscribed { countdown: snapshot.countdown(), snapshot: Some(snapshot), now, ..watched })
            }
            Err(Failure::Refused(..)) => Ok(Subscribed { countdown: Countdown::default(), ..watched }),
            Err(failure @ (Failure::Limited(_) | Failure::Store(_) | Failure::NoHistory)) => Err(failure),
        }
    }

    /// Settles a session whose deadline has passed; shows it settled without storing it while the store is unavailable.
    async fn settled(&self, id: SessionId, snapshot: Snapshot, now: Timestamp) -> Result<SessionView, Failure> {
        match self.settle(id).await {
            Ok(Applied { record, now, .. }) => {
                let record = record.ok_or(Failure::Refused(id, Refusal::NotFound))?;
                Ok(SessionView { snapshot: record.snapshot(), now, is_unsaved: false })
            }
            Err(Failure::Store(StoreError::Unavailable(_) | StoreError::UnknownOutcome)) => {
                let session = snapshot.session().map_err(|_| Failure::Store(StoreError::Unreadable))?;
                let snapshot = decide::settled(&session, now).snapshot();
                Ok(SessionView { snapshot, now, is_unsaved: true })
            }
            Err(failure @ (Failure::Refused(..) | Failure::Limited(_) | Failure::Store(_) | Failure::NoHistory)) => {
                Err(failure)
            }
        }
    }
}
