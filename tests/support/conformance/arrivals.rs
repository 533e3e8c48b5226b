//! Commands that arrived before a deadline and are judged after it.

use std::pin::pin;
use std::sync::Arc;

use synckairos::engine::{Command, Millis, SessionId, Status, Timestamp};
use synckairos::sessions::{Applied, Failure};
use synckairos::store::{Arrival, Record};

use super::rig::{SWITCH, id, waits};
use super::{Backend, Rig};

impl<B: Backend> Rig<B> {
    /// A session whose deadline has passed, and commands for it that arrived before. On a machine that is
    /// slow the deadline has to be further away for that.
    async fn held<const N: usize>(&self, n: &mut u64) -> (Timestamp, [Arrival; N]) {
        let mut budget = Millis::new(40);
        loop {
            *n += 1;
            let started = self.start_short(*n, budget).await;
            let deadline = started.session().deadline().expect("a clock runs");
            let arrivals = std::array::from_fn(|_| self.store.arrive(id(*n)));
            if self.now().await + Millis::new(5) < deadline {
                self.pass_until(deadline).await;
                return (deadline, arrivals);
            }
            budget = budget + budget;
        }
    }
}

fn session(done: Result<Applied, Failure>) -> (Option<synckairos::engine::ParticipantId>, Arc<Record>) {
    let done = done.expect("it exists");
    (done.outcome.expired, done.record.expect("it exists"))
}

/// The state after one switch in time and nothing else.
#[track_caller]
fn check_switched(id: SessionId, record: &Record, version: u64, before: Timestamp) {
    let session = record.session();
    assert_eq!((session.id, session.version, session.status), (id, version, Status::Running));
    assert!(session.participants.iter().all(|participant| !participant.has_expired));
    assert!(session.updated_at < before, "it was judged when it arrived");
}

pub async fn a_command_that_arrived_in_time_counts_however_late_it_is_judged(rig: Rig<impl Backend>) {
    let mut n = 0;
    let (deadline, [switch]) = rig.held(&mut n).await;
    let mut settle = pin!(rig.sessions.settle(id(n)));
    assert!(waits(settle.as_mut()).await, "a command that arrived before the deadline is not judged yet");
    let (expired, switched) = session(rig.done(switch, id(n), SWITCH).await);
    assert_eq!(expired, None);
    check_switched(id(n), &switched, 3, deadline);
    let (_, settled) = session(settle.await);
    assert_eq!(settled.session(), switched.session(), "there is nothing left to settle");
}

pub async fn a_late_command_waits_for_those_that_arrived_in_time(rig: Rig<impl Backend>) {
    let mut n = 0;
    let (deadline, [pause, look]) = rig.held(&mut n).await;
    let mut late = pin!(rig.done(rig.store.arrive(id(n)), id(n), Command::Resume));
    assert!(waits(late.as_mut()).await, "commands that arrived before the deadline are not judged yet");
    assert!(rig.look(id(n), Some(look)).await.at < deadline);
    assert!(waits(late.as_mut()).await, "a command that arrived before the deadline is not judged yet");
    let (_, paused) = session(rig.done(pause, id(n), Command::Pause).await);
    assert_eq!(paused.session().status, Status::Paused);
    let (_, resumed) = session(late.await);
    assert_eq!((resumed.session().version, resumed.session().status), (4, Status::Running));
    assert!(resumed.session().updated_at >= deadline);
}

pub async fn commands_in_time_do_not_wait_for_each_other(rig: Rig<impl Backend>) {
    let mut n = 0;
    let (deadline, [first, second]) = rig.held(&mut n).await;
    let (_, switched) = session(rig.done(second, id(n), SWITCH).await);
    check_switched(id(n), &switched, 3, deadline);
    let (_, paused) = session(rig.done(first, id(n), Command::Pause).await);
    assert_eq!((paused.session().version, paused.session().status), (4, Status::Paused));
}

pub async fn a_command_that_was_given_up_holds_nothing_back(rig: Rig<impl Backend>) {
    let mut n = 0;
    let (deadline, [given_up, refused]) = rig.held(&mut n).await;
    let mut settle = pin!(rig.sessions.settle(id(n)));
    assert!(waits(settle.as_mut()).await);
    drop(rig.store.arrive(id(n)));
    assert!(rig.done(refused, id(n), Command::Start).await.is_err());
    assert!(waits(settle.as_mut()).await);
    drop(given_up);
    let (_, settled) = session(settle.await);
    assert_eq!((settled.session().status, settled.session().completed_at), (Status::Expired, Some(deadline)));
    let (expired, late) = session(rig.done(rig.store.arrive(id(n)), id(n), SWITCH).await);
    assert_eq!(expired, Some(late.session().participants[0].id));
}

pub async fn a_command_for_another_session_holds_nothing_back(rig: Rig<impl Backend>) {
    let mut n = 0;
    let others: Vec<_> = (1_000..1_200).map(|n| rig.store.arrive(id(n))).collect();
    let (deadline, []) = rig.held(&mut n).await;
    let (_, settled) = session(rig.sessions.settle(id(n)).await);
    assert_eq!((settled.session().status, settled.session().completed_at), (Status::Expired, Some(deadline)));
    drop(others);
}

pub async fn a_command_that_arrived_late_holds_nothing_back(rig: Rig<impl Backend>) {
    let mut n = 0;
    let (deadline, []) = rig.held(&mut n).await;
    let late = rig.store.arrive(id(n));
    let (_, settled) = session(rig.sessions.settle(id(n)).await);
    assert_eq!((settled.session().status, settled.session().completed_at), (Status::Expired, Some(deadline)));
    let (expired, unchanged) = session(rig.done(late, id(n), SWITCH).await);
    assert_eq!(expired, Some(unchanged.session().participants[0].id));
    assert_eq!(unchanged.session(), settled.session());
}
