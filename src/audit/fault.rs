//! How long to wait after what went wrong. Does not know what it was.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first pause; each is twice the one before.
const LEAST: Duration = Duration::from_secs(2);
/// The pauses of a job that cannot be written: 2, 4, 8, 16 and 32 s.
const ATTEMPTS_MAX: u32 = 5;

/// How long a job waits that was tried `attempts` times before; `None` when it was tried often enough.
pub(super) fn retry_pause(attempts: u32) -> Option<Duration> {
    (attempts < ATTEMPTS_MAX).then(|| LEAST * 2_u32.pow(attempts))
}

/// How long to leave a database alone that was away `times` times in a row: up to 32 s, and not all at once.
pub(super) fn away_pause(times: u32) -> Duration {
    let whole = LEAST * 2_u32.pow(times.min(ATTEMPTS_MAX).saturating_sub(1));
    let random = RandomState::new().hash_one(times) % 1_000;
    whole / 2 + whole.mul_f64(random as f64 / 2_000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{away_pause, retry_pause};

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<_> = (0..7).map(|attempts| retry_pause(attempts).map(|pause| pause.as_secs())).collect();
        assert_eq!(pauses, [Some(2), Some(4), Some(8), Some(16), Some(32), None, None]);
        for (times, most_s) in [(1, 2), (2, 4), (5, 32), (90, 32)] {
            let pause = away_pause(times);
            assert!(pause >= Duration::from_secs(most_s) / 2 && pause <= Duration::from_secs(most_s), "{pause:?}");
        }
    }
}
