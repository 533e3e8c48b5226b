//! When a command is judged.

use std::pin::pin;

use synckairos::engine::{Command, Millis};

use super::rig::{SWITCH, id, new_session};
use super::{Backend, Rig};

/// Long enough for the clock to move.
const MOMENT: Millis = Millis::new(20);

pub async fn now_never_runs_backwards(rig: Rig<impl Backend>) {
    let mut latest = rig.now().await;
    for _ in 0..100 {
        let now = rig.now().await;
        assert!(now >= latest);
        latest = rig.read_now().await;
        assert!(latest >= now);
    }
}

pub async fn sleep_ends_at_the_instant_or_later(rig: Rig<impl Backend>) {
    let at = rig.now().await + MOMENT;
    let mut sleep = pin!(rig.store.sleep_until(0, at));
    let slept = tokio::select! {
        biased;
        () = &mut sleep => true,
        () = std::future::ready(()) => false,
    };
    assert!(!slept || rig.now().await >= at, "it slept too little");
    rig.pass_until(at).await;
    if !slept {
        sleep.await;
    }
    assert!(rig.now().await >= at);
    rig.store.sleep_until(0, at).await;
}

pub async fn commands_of_the_server_itself_are_judged_now(rig: Rig<impl Backend>) {
    rig.start(new_session(1)).await;
    rig.pass(MOMENT).await;
    let before = rig.now().await;
    let seen = rig.look(id(1), None).await;
    assert_eq!(seen.at, seen.now);
    assert!(before <= seen.now && seen.now <= rig.now().await);
    assert!(!seen.changed_since_arrival);
}

pub async fn a_command_is_judged_at_its_arrival(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    rig.pass(MOMENT).await;
    let arrival = rig.store.arrive(id(1));
    rig.pass(MOMENT).await;
    let seen = rig.look(id(1), Some(arrival)).await;
    assert!(seen.at < seen.now, "the command was judged when it was looked at");
    assert!(seen.at > started.session().updated_at, "the command was judged before it arrived");
}

pub async fn a_command_is_judged_no_earlier_than_the_last_change(rig: Rig<impl Backend>) {
    rig.start(new_session(1)).await;
    let arrival = rig.store.arrive(id(1));
    rig.pass(MOMENT).await;
    let switched = rig.ask(id(1), SWITCH).await.expect("a running session can be switched");
    rig.pass(MOMENT).await;
    let seen = rig.look(id(1), Some(arrival)).await;
    assert_eq!(seen.at, switched.session().updated_at);
    assert!(seen.at < seen.now);
}

pub async fn a_change_that_came_after_the_arrival_is_known(rig: Rig<impl Backend>) {
    let nothing = rig.look(id(1), Some(rig.store.arrive(id(1)))).await;
    assert!(!nothing.changed_since_arrival, "there is nothing that could change");

    let before_all = rig.store.arrive(id(1));
    rig.start(new_session(1)).await;
    let before_pause = rig.store.arrive(id(1));
    let other = rig.store.arrive(id(2));
    rig.ask(id(1), Command::Pause).await.expect("a running session can be paused");
    let after_pause = rig.store.arrive(id(1));
    assert!(rig.ask(id(1), Command::Pause).await.is_err(), "what is refused is no change");
    assert!(!rig.look(id(1), Some(after_pause)).await.changed_since_arrival);
    assert!(rig.look(id(1), Some(before_pause)).await.changed_since_arrival);
    assert!(rig.look(id(1), Some(before_all)).await.changed_since_arrival);
    assert!(!rig.look(id(2), Some(other)).await.changed_since_arrival);
}
