//! Cancellation of a commit: its sender may withdraw it until a committer takes it up. Does not know what is committed.

use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Whether a commit waits, was taken up, or was withdrawn.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Cancellation(AtomicU8);

impl Cancellation {
    /// The committer takes it up: from now on it may have been carried out. `false` when it was withdrawn.
    pub(in crate::store::redis) fn take(&self) -> bool {
        !matches!(self.0.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire), Err(WITHDRAWN))
    }

    /// It is known that nothing of it was carried out.
    pub(super) fn release(&self) {
        // Only what is taken is given back: the committer alone does both.
        let _ = self.0.compare_exchange(TAKEN, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The sender takes it back: it will not be carried out. `false` when it may have been.
    pub(in crate::store::redis) fn withdraw(&self) -> bool {
        self.0.compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Cancellation;

    #[test]
    fn what_was_withdrawn_is_never_taken_and_what_is_taken_never_withdrawn() {
        let cancellation = Cancellation::default();
        assert!(cancellation.take() && cancellation.take() && !cancellation.withdraw());
        cancellation.release();
        assert!(cancellation.withdraw() && !cancellation.take());
        cancellation.release();
        assert!(!cancellation.take());
    }
}
