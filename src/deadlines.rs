//! The agent that fires clocks which ran out, without anybody asking. Many are fired at the same time, so
//! that the store can commit them together; never one session twice at once. Each part of the store is by
//! itself: while one is away, clocks of the others are fired all the same. Does not know what a flag does.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use crate::engine::SessionId;
use crate::sessions::{Failure, Sessions};

/// Sessions of a part that are fired at the same time at most.
const FIRING_MAX: usize = 256;
/// How long to leave a session alone whose store could not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait before looking again when all that is overdue is being fired.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// Fires every deadline as it passes; runs until it is dropped.
pub async fn fire(sessions: Sessions) {
    let (parts_failing, mut parts) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for part in 0..sessions.parts() {
        parts.spawn(fire_of(sessions.clone(), part, Arc::clone(&parts_failing)));
    }
    // One that ends met a fault of ours.
    parts.join_next().await;
}

async fn fire_of(sessions: Sessions, part: usize, parts_failing: Arc<AtomicUsize>) {
    let mut firing = Firing { sessions, tasks: JoinSet::new(), ids: HashSet::new(), failing: false, parts_failing };
    loop {
        let overdue = firing.sessions.overdue(part).await;
        let mut is_news = false;
        for id in overdue {
            if firing.ids.contains(&id) {
                continue;
            }
            is_news = true;
            if firing.tasks.len() >= FIRING_MAX {
                firing.finish_one().await;
            }
            firing.begin(id);
        }
        if is_news {
            // Lets them begin, and takes note of those that are over.
            tokio::task::yield_now().await;
        } else {
            // A store names a session as long as it is overdue, one that met a fault included.
            tokio::select! {
                () = tokio::time::sleep(LOOK_PAUSE) => {}
                () = firing.finish_one(), if !firing.tasks.is_empty() => {}
            }
        }
        firing.finish_ready();
    }
}

/// Sessions of a part that are being fired.
struct Firing {
    sessions: Sessions,
    tasks: JoinSet<(SessionId, bool)>,
    ids: HashSet<SessionId>,
    /// The last one could not be fired.
    failing: bool,
    /// Of how many parts that is so.
    parts_failing: Arc<AtomicUsize>,
}

impl Firing {
    fn begin(&mut self, id: SessionId) {
        self.ids.insert(id);
        let sessions = self.sessions.clone();
        self.tasks.spawn(async move {
            match sessions.settle(id).await {
                Ok(_) | Err(Failure::Refused(..)) => (id, true),
                Err(error @ (Failure::Limited(_) | Failure::Store(_) | Failure::NoHistory)) => {
                    debug!(session = %id, ?error, "a deadline could not be fired yet");
                    tokio::time::sleep(RETRY_PAUSE).await;
                    (id, false)
                }
            }
        });
    }

    async fn finish_one(&mut self) {
        if let Some(ended) = self.tasks.join_next().await {
            self.take_note(ended);
        }
    }

    fn finish_ready(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.take_note(ended);
        }
    }

    /// A session that met a fault of ours stays among those being fired: it would meet it again, and must not
    /// keep the others from being fired.
    fn take_note(&mut self, ended: Result<(SessionId, bool), JoinError>) {
        match ended {
            Ok((id, fired)) => self.finish(id, fired),
            Err(error) => error!(%error, "firing a deadline met a fault of ours: the session is left alone"),
        }
    }

    /// Tells once when deadlines of any part begin to fail, and once when those of all are fired again.
    fn finish(&mut self, id: SessionId, fired: bool) {
        self.ids.remove(&id);
        if self.failing != fired {
            return;
        }
        self.failing = !fired;
        if fired {
            if self.parts_failing.fetch_sub(1, Ordering::Relaxed) == 1 {
                info!("deadlines are fired again");
            }
        } else if self.parts_failing.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!(session = %id, "deadlines cannot be fired yet");
        }
    }
}
