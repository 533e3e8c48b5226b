//! The agent that fires clocks which ran out, without anybody asking. Many are fired at the same time, so
//! that the store can commit them together; never one session twice at once. Does not know what a flag does.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use crate::engine::SessionId;
use crate::sessions::{Failure, Sessions};

/// Sessions that are fired at the same time at most.
const FIRING_MAX: usize = 256;
/// How long to leave a session alone whose store could not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait before looking again when all that is overdue is being fired.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// Fires every deadline as it passes; runs until it is dropped.
pub async fn fire(sessions: Sessions) {
    let mut firing = Firing { sessions, tasks: JoinSet::new(), ids: HashSet::new(), failing: false };
    loop {
        let overdue = firing.sessions.overdue().await;
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

/// Sessions that are being fired.
struct Firing {
    sessions: Sessions,
    tasks: JoinSet<(SessionId, bool)>,
    ids: HashSet<SessionId>,
    /// The last one could not be fired.
    failing: bool,
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

    /// Tells once when deadlines begin to fail, and once when they are fired again.
    fn finish(&mut self, id: SessionId, fired: bool) {
        self.ids.remove(&id);
        if self.failing == fired {
            self.failing = !fired;
            match fired {
                true => info!("deadlines are fired again"),
                false => warn!(session = %id, "deadlines cannot be fired yet"),
            }
        }
    }
}
