//! A session by another clock: nobody has more or less than they had.

use proptest::prelude::*;

use super::super::{Millis, Timestamp, violation};
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
