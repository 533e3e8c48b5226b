//! What wrong signatures may cost: each client address has some at once and some more a second, and those that have used theirs up
//! share what is left of the process. Does not know what was wrong.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::client::ClientAddress;
use crate::clock::Moment;

/// Wrong signatures of one address at once.
const OF_ADDRESS: Rate = Rate { most: 20.0, per_s: 2.0 };
/// Verifications for all addresses that have used theirs up.
const SHARED: Rate = Rate { most: 200.0, per_s: 200.0 };
/// Addresses that are remembered; more share what the process has.
const ADDRESSES_MAX: usize = 65_536;

#[derive(Clone, Copy, Debug)]
struct Rate {
    most: f64,
    per_s: f64,
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    left: f64,
    at: Moment,
}

impl TokenBucket {
    fn full(rate: Rate, now: Moment) -> Self {
        Self { left: rate.most, at: now }
    }

    fn refill(&mut self, rate: Rate, now: Moment) -> f64 {
        let earned = now.since(self.at).as_secs_f64() * rate.per_s;
        (self.left, self.at) = ((self.left + earned).min(rate.most), now);
        self.left
    }
}

/// Counts wrong signatures.
#[derive(Debug)]
pub(super) struct FailureThrottle {
    addresses: Mutex<HashMap<ClientAddress, TokenBucket>>,
    shared: Mutex<TokenBucket>,
}

impl FailureThrottle {
    pub(super) fn new(now: Moment) -> Self {
        Self { addresses: Mutex::default(), shared: Mutex::new(TokenBucket::full(SHARED, now)) }
    }

    /// Whether a signature from an address is looked at.
    pub(super) fn may_verify(&self, address: ClientAddress, now: Moment) -> bool {
        let has_own = match self.addresses.lock().get_mut(&address) {
            Some(bucket) => bucket.refill(OF_ADDRESS, now) >= 1.0,
            None => true,
        };
        if has_own {
            return true;
        }
        let mut shared = self.shared.lock();
        let has_shared = shared.refill(SHARED, now) >= 1.0;
        shared.left -= f64::from(u8::from(has_shared));
        has_shared
    }

    /// It was wrong.
    pub(super) fn failed(&self, address: ClientAddress, now: Moment) {
        let mut addresses = self.addresses.lock();
        if addresses.len() >= ADDRESSES_MAX && !addresses.contains_key(&address) {
            let whole = Duration::from_secs_f64(OF_ADDRESS.most / OF_ADDRESS.per_s);
            addresses.retain(|_, bucket| now.since(bucket.at) < whole);
            if addresses.len() >= ADDRESSES_MAX {
                return;
            }
        }
        let bucket = addresses.entry(address).or_insert_with(|| TokenBucket::full(OF_ADDRESS, now));
        bucket.refill(OF_ADDRESS, now);
        bucket.left = (bucket.left - 1.0).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::{ADDRESSES_MAX, FailureThrottle};
    use crate::client::ClientAddress;
    use crate::clock::Clock;

    fn address(n: u32) -> ClientAddress {
        ClientAddress::of(IpAddr::V4(Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn an_address_has_some_at_once_and_then_what_is_left_of_all() {
        let now = Clock::system().moment();
        let throttle = FailureThrottle::new(now);
        let tries = |from: u32, at| {
            (0..1_000)
                .take_while(|_| throttle.may_verify(address(from), at))
                .inspect(|_| throttle.failed(address(from), at))
                .count()
        };
        assert_eq!(tries(1, now), 20 + 200);
        assert_eq!(tries(1, now), 0);
        assert_eq!(tries(2, now), 20, "others have their own");
        assert_eq!(tries(1, now + Duration::from_secs(1)), 2 + 200);
        assert!(throttle.may_verify(address(3), now), "who was never wrong is looked at");
    }

    #[test]
    fn addresses_have_a_bound() {
        let now = Clock::system().moment();
        let throttle = FailureThrottle::new(now);
        (0..ADDRESSES_MAX as u32 + 10).for_each(|n| throttle.failed(address(n), now));
        assert_eq!(throttle.addresses.lock().len(), ADDRESSES_MAX);
        throttle.failed(address(u32::MAX), now + Duration::from_secs(60));
        assert_eq!(throttle.addresses.lock().len(), 1, "those that are full again are forgotten");
    }
}
