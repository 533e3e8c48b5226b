//! Clients that have shaken hands and must still say who they are: so many at most, and so many of one address. Does not know how
//! they say it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::client::ClientAddress;

/// Clients that wait.
const WAITING_MAX: usize = 1_000;
/// Of them of one address.
const OF_ADDRESS_MAX: usize = 50;

/// Who waits.
#[derive(Debug, Default)]
pub struct WaitingRoom(Mutex<WaitingClients>);

#[derive(Debug, Default)]
struct WaitingClients {
    count: usize,
    of_address: HashMap<ClientAddress, usize>,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub struct WaitingPlace {
    room: Arc<WaitingRoom>,
    address: ClientAddress,
}

impl WaitingRoom {
    /// A place for a client, if there is one left.
    pub fn enter(self: &Arc<Self>, address: ClientAddress) -> Option<WaitingPlace> {
        let mut clients = self.0.lock();
        let is_full = clients.count >= WAITING_MAX;
        let of_address = clients.of_address.entry(address).or_default();
        if is_full || *of_address >= OF_ADDRESS_MAX {
            if *of_address == 0 {
                clients.of_address.remove(&address);
            }
            return None;
        }
        *of_address += 1;
        clients.count += 1;
        Some(WaitingPlace { room: Arc::clone(self), address })
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut clients = self.room.0.lock();
        clients.count -= 1;
        if let Some(of_address) = clients.of_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                clients.of_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use super::{OF_ADDRESS_MAX, WAITING_MAX, WaitingRoom};
    use crate::client::ClientAddress;

    #[test]
    fn there_are_so_many_places_and_so_many_for_one_address() {
        let room = Arc::new(WaitingRoom::default());
        let address = |n: usize| ClientAddress::of(IpAddr::V4(Ipv4Addr::from_bits(n as u32)));
        let places: Vec<_> = (0..OF_ADDRESS_MAX + 1).map_while(|_| room.enter(address(0))).collect();
        assert_eq!(places.len(), OF_ADDRESS_MAX);
        let others: Vec<_> = (0..WAITING_MAX).map_while(|n| room.enter(address(1 + n / 10))).collect();
        assert_eq!(others.len(), WAITING_MAX - OF_ADDRESS_MAX);
        drop(places);
        assert!(room.enter(address(0)).is_some());
        drop(others);
        assert!(room.0.lock().of_address.is_empty() && room.0.lock().count == 0);
    }
}
