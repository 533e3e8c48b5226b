//! A token bucket of bytes: how much one client may make the server send each second, and what it has saved up. A client that
//! has used it up is read again once there is some left. Does not know what is sent.

use std::time::Duration;

/// What every message costs at least, in bytes: reading it is work too.
const MESSAGE_COST_MIN: u64 = 1_024;
/// For how long a client that asks for nothing saves up.
const SAVED_S: u64 = 4;

/// One client's bucket.
#[derive(Debug)]
pub(super) struct Allowance {
    /// 0 is without limit.
    bytes_per_s: u64,
    /// What is left, below zero what was spent in advance: an answer is sent whole, however long it is.
    left: i64,
    at: tokio::time::Instant,
}

impl Allowance {
    pub(super) fn new(bytes_per_s: u32, now: tokio::time::Instant) -> Self {
        let bytes_per_s = u64::from(bytes_per_s);
        Self { bytes_per_s, left: (bytes_per_s * SAVED_S) as i64, at: now }
    }

    /// The client was answered with so many bytes.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.left -= (bytes as u64).max(MESSAGE_COST_MIN) as i64;
    }

    /// How long until the client is read again; `None` when at once.
    pub(super) fn wait(&mut self, now: tokio::time::Instant) -> Option<Duration> {
        if self.bytes_per_s == 0 {
            return None;
        }
        let earned = now.saturating_duration_since(self.at).as_micros() as u64 * self.bytes_per_s / 1_000_000;
        if earned > 0 {
            let most = (self.bytes_per_s * SAVED_S) as i64;
            (self.left, self.at) = (self.left.saturating_add_unsigned(earned).min(most), now);
        }
        let owed = u64::try_from(-self.left).unwrap_or(0);
        (owed > 0).then(|| Duration::from_micros(owed * 1_000_000 / self.bytes_per_s + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Allowance;

    #[test]
    fn a_client_waits_for_as_long_as_what_it_was_sent_takes() {
        let start = tokio::time::Instant::now();
        let mut allowance = Allowance::new(10_000, start);
        allowance.spend(40_000);
        assert_eq!(allowance.wait(start), None, "it had saved up");
        allowance.spend(1);
        let wait = allowance.wait(start).expect("that was one too many");
        assert_eq!(wait, Duration::from_micros(102_401), "the least that a message costs");
        assert_eq!(allowance.wait(start + wait), None);
        allowance.spend(500_000);
        assert!(allowance.wait(start + Duration::from_secs(49)).is_some());
        assert_eq!(allowance.wait(start + Duration::from_secs(51)), None);
        assert_eq!(allowance.wait(start + Duration::from_secs(3_600)), None);
        allowance.spend(40_001);
        assert!(allowance.wait(start + Duration::from_secs(3_600)).is_some(), "nobody saves up more than that");
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let start = tokio::time::Instant::now();
        let mut allowance = Allowance::new(0, start);
        allowance.spend(1 << 40);
        assert_eq!(allowance.wait(start), None);
    }
}
