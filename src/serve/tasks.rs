//! Tasks that the server needs beside its clients: time, the data directory, the store's own. Does not know what they do.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::Clock;
use crate::engine::Timestamp;
use crate::readiness::Finding;
use crate::store::Backend;
use crate::store::file::DataDir;
use crate::supervision::{Task, TaskExit, TaskFailure};
use crate::timekeeping::Timekeeper;

use super::wiring::Wiring;

/// How often history in the file is looked through.
const RETENTION_PAUSE: Duration = Duration::from_secs(60 * 60);

impl Wiring<'_> {
    /// Tasks that fail are causes of `/ready`.
    pub(super) fn report_tasks(&mut self) {
        let supervisor = self.supervisor.clone();
        self.readiness.add("tasks", move || supervisor.troubles().into_iter().map(finding));
    }

    /// Looks after the clock.
    pub(super) fn keep_time(&mut self) {
        let timekeeper = Timekeeper::new(self.clock.clone(), &mut self.registry);
        let asked = Arc::clone(&timekeeper);
        self.readiness.add("clock", move || asked.caution().map(Finding::Degraded));
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("clock"), move || Arc::clone(&timekeeper).run()));
    }

    /// Serves backups of the data directory, and removes old history from it.
    pub(super) fn keep_data_dir(&mut self, data: Option<&DataDir>) {
        let Some(data) = data.cloned() else { return };
        let backed_up = data.clone();
        let serve = move || back_up(backed_up.clone());
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("backup"), serve));
        if let Some(age_max) = self.config.history_age_max {
            let clock = self.clock.clone();
            let forget = move || forget_old(data.clone(), clock.clone(), age_max);
            self.tasks.spawn(self.supervisor.keep(Task::auxiliary("retention"), forget));
        }
    }

    /// Runs what the backend does by itself.
    pub(super) fn run_store(&mut self, store: Arc<dyn Backend>) {
        self.tasks.spawn(self.supervisor.keep(Task::essential("upkeep"), move || upkeep(Arc::clone(&store))));
    }
}

/// Lets `synckairos backup` copy a data directory; does without where there can be no socket.
async fn back_up(data: DataDir) {
    if let Err(error) = data.serve_backups().await {
        warn!(%error, "synckairos backup cannot be served");
    }
    std::future::pending().await
}

/// Removes history from the file that is older than it has to be kept, now and then.
async fn forget_old(data: DataDir, clock: Clock, age_max: Duration) {
    loop {
        let limit = clock.now().as_ms().saturating_sub(age_max.as_millis() as u64);
        match data.forget_before(Timestamp::from_ms(limit)).await {
            Ok(0) => {}
            Ok(changes) => info!(changes, "history was removed that is older than it is kept"),
            Err(why) => warn!(%why, "old history was not removed"),
        }
        tokio::time::sleep(RETENTION_PAUSE).await;
    }
}

/// It ends by itself when the store is of no use any more.
async fn upkeep(store: Arc<dyn Backend>) -> TaskExit {
    store.run().await;
    let reason = store.health().into_iter().find_map(Finding::unready_reason);
    TaskExit::Fatal(reason.unwrap_or_else(|| "the store cannot be used".to_owned()))
}

/// What is said of a task that fails.
fn finding(trouble: TaskFailure) -> Finding {
    let is_grave = trouble.is_grave();
    let TaskFailure { task, failures, why } = trouble;
    let said = match failures {
        1 => format!("the task {} has failed and is begun anew: {why}", task.name),
        _ => format!("the task {} has failed {failures} times in a row: {why}", task.name),
    };
    if is_grave { Finding::NotReady(said) } else { Finding::Degraded(said) }
}
