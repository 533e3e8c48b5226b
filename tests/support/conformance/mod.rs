//! The contract of `synckairos::store`, as cases that every backend has to pass unchanged.
//!
//! A case is a function of a [`Rig`]: a store that was just opened, what its listener hears, and a way to
//! let time pass, which a backend may do by waiting. [`crate::cases!`] makes a test of each case for one backend.
//! No case asks how long something takes, nor knows how a backend keeps what it keeps.

pub mod arrivals;
pub mod backend;
pub mod changes;
pub mod deadlines;
pub mod deletion;
pub mod keys;
pub mod lifetimes;
pub mod limits;
pub mod recorder;
pub mod rig;
pub mod time;
pub mod watching;

use synckairos::store::Lifetimes;

pub use backend::Backend;
pub use rig::Rig;

/// After so long a case is taken to hang.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// How long sessions are kept in the cases of a module: only where that is what they are about is it short.
pub fn lifetimes_of(module: &str) -> Lifetimes {
    if module == "lifetimes" { lifetimes::BRIEF } else { Lifetimes::default() }
}

/// Every case as a test of `$backend`, a type in the caller's module.
#[macro_export]
macro_rules! cases {
    ($backend:ident) => {
        $crate::cases! { $backend:
            changes: [
                a_session_is_read_as_it_was_created,
                an_id_that_exists_stays_as_it_was,
                what_is_not_there_cannot_be_changed,
                every_change_has_a_version_of_its_own,
                changes_of_many_sessions_do_not_meet,
                what_is_refused_changes_nothing,
                a_look_changes_nothing,
            ],
            time: [
                now_never_runs_backwards,
                sleep_ends_at_the_instant_or_later,
                commands_of_the_server_itself_are_judged_now,
                a_command_is_judged_at_its_arrival,
                a_command_is_judged_no_earlier_than_the_last_change,
                a_change_that_came_after_the_arrival_is_known,
            ],
            watching: [
                states_are_delivered_in_order_each_followed_by_its_notices,
                nothing_is_missed_while_a_subscription_begins,
                nothing_is_delivered_after_the_end_of_a_subscription,
                the_last_of_two_subscriptions_ends_the_delivery,
                a_creation_is_delivered,
                a_refusal_is_not_delivered,
            ],
            deletion: [
                a_deleted_session_is_gone,
                an_id_that_comes_back_has_a_higher_epoch,
                a_deletion_is_delivered_between_the_states_around_it,
                what_is_not_there_can_be_deleted,
            ],
            deadlines: [
                a_session_is_overdue_at_its_deadline_until_it_is_settled,
                a_deadline_that_moved_away_does_not_count,
                a_session_that_was_deleted_is_not_overdue,
                an_earlier_deadline_is_noticed_while_waiting_for_a_later_one,
                deadlines_are_waited_for_one_after_the_other,
                every_deadline_is_named,
                what_ran_out_is_not_hidden_from_readers,
            ],
            arrivals: [
                a_command_that_arrived_in_time_counts_however_late_it_is_judged,
                a_late_command_waits_for_those_that_arrived_in_time,
                commands_in_time_do_not_wait_for_each_other,
                a_command_that_was_given_up_holds_nothing_back,
                a_command_for_another_session_holds_nothing_back,
                a_command_that_arrived_late_holds_nothing_back,
            ],
            keys: [
                a_command_that_is_sent_again_is_not_carried_out_again,
                a_name_is_of_one_request,
                a_creation_that_is_sent_again_shows_what_became_of_it,
                a_deletion_that_is_sent_again_is_the_same,
                what_was_refused_or_did_nothing_is_judged_again,
                what_time_did_is_not_the_commands_doing,
                a_key_outlives_sixteen_changes,
                of_commands_that_are_sent_at_once_one_is_carried_out,
            ],
            lifetimes: [
                watchers_of_a_session_that_lapses_are_notified_once,
                a_change_keeps_a_session_for_longer_or_less_long,
                another_session_may_have_the_name_of_one_that_lapsed,
                what_was_deleted_does_not_lapse,
            ],
            limits: [
                what_is_refused_gives_its_count_back,
                a_client_that_is_refused_too_often_is_limited_alone,
                the_own_switches_of_a_participant_use_up_no_others,
                beyond_the_limit_nothing_is_judged,
                a_window_ends,
                sessions_do_not_share_a_limit,
                clients_are_counted_each_for_itself,
            ],
        }
    };
    ($backend:ident: $($module:ident: [$($case:ident),* $(,)?]),* $(,)?) => {
        $(mod $module {
            use super::$backend;
            use $crate::conformance::{$module as cases, PATIENCE, Rig, lifetimes_of};

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let case = async { cases::$case(Rig::<$backend>::open_with(lifetimes_of(stringify!($module))).await).await };
                tokio::time::timeout(PATIENCE, case).await.expect("the case ends");
            })*
        })*
    };
}
