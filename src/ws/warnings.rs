//! Sends warnings when they are due: those of each partition by the partition's own clock, so that a partition that does not
//! answer delays no others. Does not know what they say.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tracing::warn;

use crate::store::PartitionClocks;
use crate::supervision::panic_point;

use super::hub::Hub;

/// Sends every warning as it falls due; runs until it is dropped.
pub async fn warn(hub: Arc<Hub>, clocks: Arc<dyn PartitionClocks>) {
    let of = Arc::clone(&clocks);
    hub.divide(clocks.partitions(), move |id| of.partition(id));
    let mut partitions: FuturesUnordered<_> =
        (0..clocks.partitions()).map(|partition| warn_of(&hub, &*clocks, partition)).collect();
    // None of them ends.
    while partitions.next().await.is_some() {}
}

async fn warn_of(hub: &Hub, clocks: &dyn PartitionClocks, partition: usize) {
    loop {
        let due = async {
            match hub.next_warning(partition) {
                Some(at) => clocks.sleep_until(partition, at).await,
                None => std::future::pending().await,
            }
        };
        panic_point("warnings", "");
        tokio::select! {
            () = due => match clocks.now_of(partition).await {
                Ok(now) => hub.warn(partition, now),
                Err(error) => {
                    warn!(?error, "warnings are late: the time is not known");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            () = hub.rescheduled(partition) => {}
        }
    }
}
