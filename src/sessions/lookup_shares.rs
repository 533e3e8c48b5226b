//! The shares of clients in the look-ups of sessions that the store does not have, so that a scan of random ids
//! delays only whoever asks for it. Does not know what is looked up.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::ClientId;
use crate::hashing::HashMap;

/// Look-ups of one client that run or wait at the same time.
const RUNNING_MAX: u32 = 64;
/// Of them at the archive; the others of the same client wait, and those of other clients do not.
const TURNS_MAX: usize = 8;
/// Look-ups of one client that found nothing and are remembered.
const MISSES_MAX: u32 = 1_000;
/// Look-ups of all clients that found nothing and are remembered; further ones count against nobody.
const REMEMBERED_MAX: usize = 8_192;

/// The look-ups of each client. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct LookupShares(Arc<Mutex<LookupCounts>>);

#[derive(Debug, Default)]
struct LookupCounts {
    by_client: HashMap<ClientId, ClientCount>,
    remembered: usize,
}

#[derive(Clone, Debug)]
struct ClientCount {
    running: u32,
    misses: u32,
    turns: Arc<Semaphore>,
}

impl Default for ClientCount {
    fn default() -> Self {
        Self { running: 0, misses: 0, turns: Arc::new(Semaphore::new(TURNS_MAX)) }
    }
}

/// A look-up that runs until this is dropped.
#[derive(Debug)]
pub(super) struct LookupPermit {
    shares: LookupShares,
    client: Option<ClientId>,
    turns: Option<Arc<Semaphore>>,
}

/// A look-up that found nothing, which counts against its client until this is dropped.
#[derive(Debug)]
pub(super) struct Miss {
    shares: LookupShares,
    client: Option<ClientId>,
}

impl LookupShares {
    /// A look-up for `client`, unless its share is used up. Look-ups of the server itself have no limit.
    pub(super) fn begin(&self, client: Option<ClientId>) -> Option<LookupPermit> {
        let mut turns = None;
        if let Some(client) = client {
            let mut counts = self.0.lock();
            let count = counts.by_client.entry(client).or_default();
            if count.running >= RUNNING_MAX || count.misses >= MISSES_MAX {
                return None;
            }
            count.running += 1;
            turns = Some(Arc::clone(&count.turns));
        }
        Some(LookupPermit { shares: self.clone(), client, turns })
    }

    fn change(&self, client: Option<ClientId>, change: impl FnOnce(&mut ClientCount)) {
        let Some(client) = client else { return };
        let mut counts = self.0.lock();
        let count = counts.by_client.entry(client).or_default();
        change(count);
        if count.running == 0 && count.misses == 0 {
            counts.by_client.remove(&client);
        }
    }
}

impl LookupPermit {
    /// Waits for its turn among the look-ups of the same client.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(self.turns.as_ref()?).acquire_owned().await.ok()
    }

    /// It found nothing; `None` when too many are remembered already.
    pub(super) fn missed(self) -> Option<Miss> {
        let mut counts = self.shares.0.lock();
        if counts.remembered >= REMEMBERED_MAX {
            return None;
        }
        counts.remembered += 1;
        drop(counts);
        self.shares.change(self.client, |count| count.misses += 1);
        Some(Miss { shares: self.shares.clone(), client: self.client })
    }
}

impl Drop for LookupPermit {
    fn drop(&mut self) {
        self.shares.change(self.client, |count| count.running -= 1);
    }
}

impl Drop for Miss {
    fn drop(&mut self) {
        self.shares.0.lock().remembered -= 1;
        self.shares.change(self.client, |count| count.misses -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{LookupShares, MISSES_MAX, REMEMBERED_MAX, RUNNING_MAX};
    use crate::client::{ClientAddress, ClientId};

    fn client(n: u8) -> Option<ClientId> {
        Some(ClientAddress::from(IpAddr::from([10, 0, 0, n])).into())
    }

    #[test]
    fn an_address_has_its_share_and_takes_nobody_elses() {
        let shares = LookupShares::default();
        let running: Vec<_> = (0..RUNNING_MAX).map(|_| shares.begin(client(1)).expect("its share")).collect();
        assert!(shares.begin(client(1)).is_none());
        assert!(shares.begin(client(2)).is_some() && shares.begin(None).is_some());
        drop(running);
        let misses: Vec<_> = (0..MISSES_MAX).map(|_| shares.begin(client(1)).and_then(|one| one.missed())).collect();
        assert!(misses.iter().all(Option::is_some));
        assert!(shares.begin(client(1)).is_none(), "what it asked for was not there");
        assert!(shares.begin(client(2)).is_some());
        drop(misses);
        assert!(shares.begin(client(1)).is_some());
        assert!(shares.0.lock().by_client.is_empty(), "nobody is remembered for ever");
    }

    #[test]
    fn only_so_much_is_remembered() {
        let shares = LookupShares::default();
        let misses: Vec<_> = (0..REMEMBERED_MAX + 5).map(|_| shares.begin(None).and_then(|one| one.missed())).collect();
        assert_eq!(misses.iter().flatten().count(), REMEMBERED_MAX);
        drop(misses);
        assert_eq!(shares.0.lock().remembered, 0);
    }
}
