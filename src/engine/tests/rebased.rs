//! A session by another clock: nobody has more or less than they had.

use proptest::prelude::*;

use super::super::{Millis, Session, StateTag, Status, Timestamp, violation};
use super::described::described;
use super::generated::stories;

proptest! {
    /// Wherever the clock is set, what is left, used and due stays as far away as it was.
    #[test]
    fn nobody_has_more_or_less_by_another_clock(
        story in stories(1_000..=60_000, 20), ahead in 0..10_000_000_u64, to in 100_000_000..200_000_000_u64,
    ) {
        let (session, now) = story.end();
        let (from, to) = (now + Millis::new(ahead), Timestamp::from_ms(to));
        let moved = session.rebased(from, to);
        prop_assert_eq!(violation(&moved), None);
        prop_assert_eq!(&moved.clocks, &session.clocks);
        prop_assert_eq!(moved.deadline().map(|at| at.since(to)), session.deadline().map(|at| at.since(from)));
        prop_assert_eq!(moved.deadline().map(|at| to.since(at)), session.deadline().map(|at| from.since(at)));
        prop_assert_eq!(to.since(moved.updated_at), from.since(session.updated_at));
        prop_assert_eq!(moved.rebased(to, from), session);
    }
}

/// What runs depends on the clock, and what waits only where its instants are still to come.
#[test]
fn what_has_ended_and_what_waits_depend_on_no_clock() {
    let now = Timestamp::from_ms(1_000);
    for (status, before, at, after) in [
        (Status::Running, true, true, true),
        (Status::Pending, false, false, true),
        (Status::Paused, false, false, true),
        (Status::Expired, false, false, false),
        (Status::Completed, false, false, false),
        (Status::Cancelled, false, false, false),
    ] {
        for (updated, expected) in [(999, before), (1_000, at), (1_001, after)] {
            let session = Session { status, updated_at: Timestamp::from_ms(updated), ..described("A=1000") };
            assert_eq!(session.depends_on_clock(now), expected, "{status:?}, changed at {updated}");
        }
    }
}

#[test]
fn a_state_is_followed_by_the_next_version_of_its_epoch() {
    let tag = |epoch, version| StateTag { epoch, version };
    assert!(tag(7, 3).is_followed_by(tag(7, 4)));
    for other in [tag(7, 3), tag(7, 2), tag(7, 5), tag(8, 4), tag(6, 4), tag(8, 1)] {
        assert!(!tag(7, 3).is_followed_by(other), "{other:?}");
    }
}
