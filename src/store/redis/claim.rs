//! Who disposes of a command: its sender may withdraw it until a committer takes it up. Does not know what
//! it asks for.

use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Where a command stands between its sender and its committer.
#[derive(Debug, Default)]
pub(super) struct Claim(AtomicU8);

impl Claim {
    /// The committer takes it up: from now on it may have been carried out. `false` when it was withdrawn.
    pub(super) fn take(&self) -> bool {
        !matches!(self.0.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire), Err(WITHDRAWN))
    }

    /// It is known that nothing of it was carried out.
    pub(super) fn release(&self) {
        // Only what is taken is given back: the committer alone does both.
        let _ = self.0.compare_exchange(TAKEN, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The sender takes it back: it will not be carried out. `false` when it may have been.
    pub(super) fn withdraw(&self) -> bool {
        self.0.compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Claim;

    #[test]
    fn what_was_withdrawn_is_never_taken_and_what_is_taken_never_withdrawn() {
        let claim = Claim::default();
        assert!(claim.take() && claim.take() && !claim.withdraw());
        claim.release();
        assert!(claim.withdraw() && !claim.take());
        claim.release();
        assert!(!claim.take());
    }
}
