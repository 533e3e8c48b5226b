//! A server that runs: waits for what must not end, and stops the parts in order. Does not know how they were put together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::auth::KeyKeeper;
use crate::config::Address;
use crate::runtime;
use crate::shutdown::Trigger;
use crate::store::file::DataDir;
use crate::supervision::{Panicked, Supervisor};

/// How long requests may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that runs until it is stopped or dropped.
pub struct RunningServer {
    pub(super) address: Address,
    pub(super) admin_address: Option<Address>,
    pub(super) drain: Duration,
    pub(super) trigger: Trigger,
    pub(super) server: runtime::TaskHandle<Result<(), Panicked>>,
    pub(super) tasks: JoinSet<()>,
    pub(super) audit: Option<runtime::TaskHandle<Result<(), Panicked>>>,
    pub(super) supervisor: Supervisor,
    pub(super) end_audit: oneshot::Sender<()>,
    pub(super) data: Option<DataDir>,
    pub(super) keeper: Option<Arc<KeyKeeper>>,
}

impl RunningServer {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where it listens to operators, if apart from clients.
    pub fn admin_address(&self) -> Option<&Address> {
        self.admin_address.as_ref()
    }

    /// Waits until something has ended that must not end before the server, and cannot be begun anew.
    pub async fn failed(&mut self) {
        let audit = async {
            match &mut self.audit {
                Some(audit) => drop(audit.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.supervisor.fatal_failure() => {}
            _ = &mut self.server => error!("nothing accepts connections any more"),
            () = audit => error!("the audit has ended"),
        }
    }

    /// Reads the keys again.
    pub fn reload(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.look();
        }
    }

    /// Sees to the tasks of this server, and of whoever runs it.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Says that it will stop, and serves on for as long as it was told; then stops accepting, lets requests finish, closes
    /// WebSockets; what has not ended in time is dropped. Returns whether
    /// everything that was to be written is.
    pub async fn stop(mut self) -> bool {
        self.trigger.drain(self.drain);
        if !self.drain.is_zero() {
            info!(length_s = self.drain.as_secs(), "serving on until clients have gone elsewhere");
            tokio::time::sleep(self.drain).await;
        }
        self.trigger.begin();
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await.is_err() {
            warn!("some connections did not end in time");
            self.server.abort();
        }
        self.tasks.shutdown().await;
        if let Some(audit) = self.audit {
            // It has a deadline of its own.
            let _ = self.end_audit.send(());
            if !matches!(audit.await, Ok(Ok(()))) {
                warn!("the audit met a fault of ours");
            }
        }
        match &self.data {
            Some(data) => data.close().await,
            None => true,
        }
    }
}
