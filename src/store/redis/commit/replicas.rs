//! How many replicas must have a change before it is acknowledged. Redis does not take a change back that too few of
//! them have in time: whether it lasts is in doubt then. Does not know what is changed.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

use crate::redis::{Pipeline, resp::Value};
use crate::store::metrics::Operation;
use crate::store::redis::connection::LazyConnection;

/// How long they may take, in milliseconds: less than a connection waits for its replies.
const TIME_MAX_MS: u64 = 500;

/// So many; none is as Redis does it by itself.
#[derive(Debug)]
pub(in crate::store::redis) struct Replicas {
    min: u32,
    /// There were too few the last time.
    lacking: AtomicBool,
}

impl Replicas {
    pub(in crate::store::redis) fn new(min: u32) -> Self {
        Self { min, lacking: AtomicBool::new(false) }
    }

    /// Whether a change that is found to be made, by whomever, can be acknowledged.
    pub(super) fn are_none(&self) -> bool {
        self.min == 0
    }

    /// Adds the wait for them behind a transaction.
    pub(in crate::store::redis) fn wait(&self, transaction: &mut Pipeline) {
        if self.min > 0 {
            transaction.cmd("WAIT").arg(self.min).arg(TIME_MAX_MS);
        }
    }

    /// Whether enough of them have what the server has done until now.
    pub(super) async fn have_all(&self, connection: &mut LazyConnection) -> bool {
        let mut wait = Pipeline::new();
        self.wait(&mut wait);
        match connection.ask(Operation::Commit, &wait).await {
            Ok(mut asked) => self.have_it(&mut asked.replies),
            Err(_) => false,
        }
    }

    /// Takes the reply to [`Replicas::wait`] from those to a transaction; whether enough of them have what was done
    /// before.
    pub(super) fn have_it(&self, replies: &mut Vec<Value>) -> bool {
        if self.min == 0 {
            return true;
        }
        let reply = replies.pop();
        let is_enough = matches!(reply, Some(Value::Int(count)) if count >= i64::from(self.min));
        let was_lacking = self.lacking.swap(!is_enough, Ordering::Relaxed);
        match (was_lacking, is_enough) {
            (false, false) => warn!(min = self.min, ?reply, "too few replicas have a change: it is not acknowledged"),
            (true, true) => info!("enough replicas have what is changed again"),
            (false, true) | (true, false) => {}
        }
        is_enough
    }
}
