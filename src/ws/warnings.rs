//! The agent that sends warnings when they are due. Does not know what they say.

use std::sync::Arc;

use tracing::warn;

use crate::sessions::Sessions;

use super::hub::Hub;

/// Sends every warning as it falls due; runs until it is dropped.
pub async fn warn(hub: Arc<Hub>, sessions: Sessions) {
    loop {
        let due = async {
            match hub.next_warning() {
                Some(at) => sessions.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => match sessions.now().await {
                Ok(now) => hub.warn(now),
                Err(error) => {
                    warn!(?error, "warnings are late: the time is not known");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            () = hub.rescheduled.notified() => {}
        }
    }
}
