//! Durability by the journal of a data directory, and by a file that records its clock. Does not know what a
//! change means.

use std::sync::Arc;

use tracing::debug;

use crate::clock::{CHECK_INTERVAL, Clock};
use crate::engine::{SessionId, Timestamp};
use crate::runtime::time;
use crate::store::contract::StoreError;
use crate::store::durability::{Durability, DurabilityTicket, DurableChange};
use crate::supervision::{Panicked, Supervisor};

use super::journal::Journal;
use super::timeline::Timeline;

/// Makes changes durable in a data directory.
pub struct Journaled {
    journal: Arc<Journal>,
    timeline: Arc<Timeline>,
    supervisor: Supervisor,
}

impl Journaled {
    pub(super) fn new(journal: Arc<Journal>, timeline: Arc<Timeline>, supervisor: Supervisor) -> Self {
        Self { journal, timeline, supervisor }
    }

    /// Records the time for the next process, while that matters.
    async fn keep_time(&self, clock: &Clock, has_deadlines: impl Fn() -> bool) {
        loop {
            if has_deadlines() {
                let (timeline, clock) = (Arc::clone(&self.timeline), clock.clone());
                match self.supervisor.block("timeline", move || timeline.write(&clock)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(%error, "where the clock stands cannot be written down"),
                    // The supervisor has logged it; the next round tries again.
                    Err(Panicked(_)) => {}
                }
            }
            time::sleep(CHECK_INTERVAL).await;
        }
    }
}

impl Durability for Journaled {
    type Ticket = DurabilityTicket;

    fn enter(
        &self,
        id: SessionId,
        change: impl FnOnce() -> DurableChange,
    ) -> Result<(u64, Option<DurabilityTicket>), StoreError> {
        self.journal.enter(id, change()).map(|(number, ticket)| (number, Some(ticket)))
    }

    fn barrier(&self, number: u64) -> Result<Option<DurabilityTicket>, StoreError> {
        self.journal.barrier(number)
    }

    async fn wait(&self, ticket: DurabilityTicket, is_change: bool) -> bool {
        self.journal.wait(ticket, is_change).await
    }

    fn forget(&self, id: SessionId) {
        self.journal.forget(id);
    }

    fn fault(&self) -> Option<String> {
        let why = self.journal.fault()?;
        Some(format!("the file that keeps sessions cannot be written: {why}"))
    }

    fn lost_at(&self, now: Timestamp, newest: Timestamp) -> Option<Timestamp> {
        self.timeline.lost_at(now, newest)
    }

    async fn run(&self, clock: &Clock, has_deadlines: impl Fn() -> bool + Send + Sync) {
        tokio::select! {
            biased;
            () = self.keep_time(clock, has_deadlines) => {}
            () = self.journal.ended() => {}
        }
    }
}
