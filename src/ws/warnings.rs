//! The agent that sends warnings when they are due: those of each part of what is kept by the part's own clock, so that
//! one that does not answer keeps no others from being told. Does not know what they say.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tracing::warn;

use crate::sessions::Sessions;
use crate::supervision::panic_point;

use super::hub::Hub;

/// Sends every warning as it falls due; runs until it is dropped.
pub async fn warn(hub: Arc<Hub>, sessions: Sessions) {
    let of = sessions.clone();
    hub.divide(sessions.parts(), move |id| of.part(id));
    let mut parts: FuturesUnordered<_> = (0..sessions.parts()).map(|part| warn_of(&hub, &sessions, part)).collect();
    // None of them ends.
    while parts.next().await.is_some() {}
}

async fn warn_of(hub: &Hub, sessions: &Sessions, part: usize) {
    loop {
        let due = async {
            match hub.next_warning(part) {
                Some(at) => sessions.sleep_until(part, at).await,
                None => std::future::pending().await,
            }
        };
        panic_point("warnings", "");
        tokio::select! {
            () = due => match sessions.now_of(part).await {
                Ok(now) => hub.warn(part, now),
                Err(error) => {
                    warn!(?error, "warnings are late: the time is not known");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            () = hub.rescheduled(part) => {}
        }
    }
}
