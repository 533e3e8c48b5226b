//! Right histories pass, and what is changed in one is found.

use histories::{Answer, History, OnTimeout, Rules, Tag, Verdict, check};
use proptest::prelude::*;

use crate::generated::{Store, history, steps};

fn rules() -> Rules {
    Rules { tolerance: 0, steps_max: 100_000, ..Rules::default() }
}

fn either() -> impl Strategy<Value = OnTimeout> {
    prop_oneof![Just(OnTimeout::Expire), Just(OnTimeout::Advance)]
}

/// The places of the operations that were answered with a state.
fn with_view(history: &History) -> Vec<usize> {
    (0..history.operations.len()).filter(|&place| history.operations[place].view().is_some()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_model_says_is_right(steps in steps(120), on_timeout in either()) {
        let (history, _) = history(&steps, on_timeout, Store::Keeps);
        let verdict = check(&history, &rules());
        prop_assert!(verdict.is_right(), "{}", verdict);
    }

    #[test]
    fn without_anybody_who_watches_too(steps in steps(120), on_timeout in either()) {
        let (mut history, _) = history(&steps, on_timeout, Store::Keeps);
        history.sightings.clear();
        let verdict = check(&history, &rules());
        prop_assert!(verdict.is_right(), "{}", verdict);
    }

    #[test]
    fn what_a_store_loses_is_right_where_it_may(steps in steps(120), on_timeout in either()) {
        let (history, losses) = history(&steps, on_timeout, Store::Loses);
        let verdict = check(&history, &rules().with_losses(losses));
        // Where much is unknown and much is lost, there are more orders than can be tried.
        prop_assert!(!matches!(verdict, Verdict::Wrong(_)), "{}", verdict);
    }

    #[test]
    fn a_version_that_nobody_made_is_found(steps in steps(60), which in any::<prop::sample::Index>()) {
        let (mut history, _) = history(&steps, OnTimeout::Expire, Store::Keeps);
        let places = with_view(&history);
        prop_assume!(!places.is_empty());
        let place = places[which.index(places.len())];
        if let Answer::Done(view) | Answer::Late(view) = &mut history.operations[place].answer {
            view.tag = Tag { version: view.tag.version + 1_000, ..view.tag };
        }
        prop_assert!(matches!(check(&history, &rules()), Verdict::Wrong(_)));
    }

    #[test]
    fn a_participant_whose_turn_it_is_not_is_found(steps in steps(60), which in any::<prop::sample::Index>()) {
        let (mut history, _) = history(&steps, OnTimeout::Expire, Store::Keeps);
        let places = with_view(&history);
        prop_assume!(!places.is_empty());
        let place = places[which.index(places.len())];
        if let Answer::Done(view) | Answer::Late(view) = &mut history.operations[place].answer {
            view.active = view.active.map_or(Some(2), |active| Some((active + 1) % 3));
        }
        prop_assert!(matches!(check(&history, &rules()), Verdict::Wrong(_)));
    }
}
