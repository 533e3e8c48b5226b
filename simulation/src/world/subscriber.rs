//! Clients that watch: each holds a subscription to a session on one instance, and takes another one when it is lost. Does not
//! know what is heard.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use synckairos::engine::SessionId;
use tokio::sync::oneshot;

use super::client::Instances;
use super::instance::Instance;
use crate::scheduler::Scheduler;

/// How long until another try.
const PAUSE: Duration = Duration::from_millis(50);

/// Watches a session on an instance for as long as the run takes.
pub(super) async fn watch(scheduler: Scheduler, instances: Instances, index: usize, session: SessionId) {
    loop {
        let instance = instances.lock().unwrap_or_else(PoisonError::into_inner)[index].clone();
        if let Some(instance) = instance {
            watch_one(&scheduler, &instance, session).await;
        }
        scheduler.sleep(PAUSE).await;
    }
}

/// Watches it until updates are interrupted, or the instance ends.
async fn watch_one(scheduler: &Scheduler, instance: &Arc<Instance>, session: SessionId) {
    let (ended, end) = oneshot::channel::<()>();
    let (sessions, watcher, own) = (instance.sessions.clone(), Arc::clone(&instance.watcher), scheduler.clone());
    instance.machine.run(async move {
        // It is dropped when this ends, or is killed.
        let _ended = ended;
        let Ok(subscribed) = sessions.subscribe(session).await else { return };
        watcher.begin(session, subscribed.snapshot.as_ref().map(|snapshot| snapshot.tag));
        while watcher.newest(session).is_some_and(|newest| !newest.is_interrupted) {
            own.sleep(PAUSE).await;
        }
    });
    let _ = end.await;
}
