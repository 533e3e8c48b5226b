//! Exponential backoff: how long a failed job and an unavailable database are left alone. Does not know why they failed.

use std::time::Duration;

use crate::random;

/// The first pause; each is twice the one before.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// How often a job is retried: after 2, 4, 8, 16 and 32 s.
const ATTEMPTS_MAX: u32 = 5;

/// How long a job waits after its attempt, with `attempts` failed ones before it; `None` when no retry is left.
pub(super) fn retry_pause(attempts: u32) -> Option<Duration> {
    (attempts < ATTEMPTS_MAX).then(|| PAUSE_MIN * 2_u32.pow(attempts))
}

/// How long to leave the database alone after so many failures in a row: up to 32 s, half of it jitter.
pub(super) fn database_pause(failures: u32) -> Duration {
    let whole = PAUSE_MIN * 2_u32.pow(failures.min(ATTEMPTS_MAX).saturating_sub(1));
    random::jitter(whole)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{database_pause, retry_pause};

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<_> = (0..7).map(|attempts| retry_pause(attempts).map(|pause| pause.as_secs())).collect();
        assert_eq!(pauses, [Some(2), Some(4), Some(8), Some(16), Some(32), None, None]);
        for (failures, most_s) in [(1, 2), (2, 4), (5, 32), (90, 32)] {
            let pause = database_pause(failures);
            assert!(pause >= Duration::from_secs(most_s) / 2 && pause <= Duration::from_secs(most_s), "{pause:?}");
        }
    }
}
