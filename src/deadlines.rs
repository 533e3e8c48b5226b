//! The agent that fires clocks which ran out, without anybody asking. Does not know what a flag does.

use std::time::Duration;

use tracing::warn;

use crate::sessions::{Failure, Sessions};

/// How long to leave a session alone whose store could not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Fires every deadline as it passes; runs until it is dropped.
pub async fn fire(sessions: Sessions) {
    loop {
        for id in sessions.overdue().await {
            match sessions.settle(id).await {
                Ok(_) | Err(Failure::Refused(..)) => {}
                Err(error @ (Failure::Limited(_) | Failure::Store(_))) => {
                    warn!(session = %id, ?error, "a deadline could not be fired yet");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}
