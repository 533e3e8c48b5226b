//! Overdue sessions: which, and when.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use synckairos::engine::{Command, Millis, SessionId, Status, Timestamp};
use synckairos::store::Record;

use super::rig::{SWITCH, id, new_session, waits};
use super::{Backend, Rig};

const SHORT: Millis = Millis::new(60);

impl<B: Backend> Rig<B> {
    /// Who is overdue if somebody is now; checks that it is.
    async fn overdue_now(&self) -> Vec<SessionId> {
        let overdue = tokio::select! {
            biased;
            overdue = self.overdue() => overdue,
            () = std::future::ready(()) => Vec::new(),
        };
        self.check_overdue(&overdue).await;
        overdue
    }

    /// Waits until `id` is overdue; returns who was until then.
    async fn overdue_until(&self, id: SessionId) -> HashSet<SessionId> {
        let mut all = HashSet::new();
        while !all.contains(&id) {
            let overdue = self.overdue().await;
            self.check_overdue(&overdue).await;
            assert!(!overdue.is_empty());
            all.extend(overdue);
        }
        all
    }

    /// Carries out `command` on the next session before its deadline, and returns that. On a machine that is
    /// slow it has to be further away.
    async fn forestall(&self, n: &mut u64, command: Command) -> Timestamp {
        let mut budget = SHORT;
        loop {
            *n += 1;
            let started = self.start_short(*n, budget).await;
            let record = self.ask(id(*n), command.clone()).await;
            if record.is_ok_and(|record| record.session().status != Status::Expired) {
                return deadline(&started);
            }
            budget = budget + budget;
        }
    }

    async fn check_overdue(&self, overdue: &[SessionId]) {
        for &id in overdue {
            // Settled meanwhile, it may have another deadline or none.
            if let Some(deadline) = self.read(id).await.and_then(|record| record.session().deadline()) {
                assert!(deadline <= self.now().await, "{id} is named too early");
            }
        }
    }

    /// Lets time pass until just before the deadline, looks who is overdue, and lets time pass until the deadline.
    async fn approach(&self, deadline: Timestamp) {
        self.pass_until(Timestamp::from_ms(deadline.as_ms() - 1)).await;
        self.overdue_now().await;
        self.pass_until(deadline).await;
    }
}

fn deadline(record: &Arc<Record>) -> Timestamp {
    record.session().deadline().expect("a clock runs")
}

pub async fn a_session_is_overdue_at_its_deadline_until_it_is_settled(rig: Rig<impl Backend>) {
    let started = rig.start_short(1, SHORT).await;
    rig.overdue_now().await;
    rig.approach(deadline(&started)).await;
    for _ in 0..3 {
        assert_eq!(rig.overdue_until(id(1)).await, HashSet::from([id(1)]));
        rig.look(id(1), None).await;
    }
    let settled = rig.sessions.settle(id(1)).await.expect("it exists").record.expect("it exists");
    assert_eq!(settled.session().status, Status::Expired);
    assert_eq!(settled.session().completed_at, Some(deadline(&started)));
    let other = rig.start_short(2, SHORT).await;
    rig.approach(deadline(&other)).await;
    assert_eq!(rig.overdue_until(id(2)).await, HashSet::from([id(2)]));
}

pub async fn a_deadline_that_moved_away_does_not_count(rig: Rig<impl Backend>) {
    let mut n = 0;
    let mut passed = Timestamp::default();
    for command in [SWITCH, Command::Complete, Command::Pause] {
        passed = passed.max(rig.forestall(&mut n, command).await);
    }
    let paused = id(n);
    rig.approach(passed).await;
    let other = rig.start_short(n + 1, SHORT).await;
    rig.approach(deadline(&other)).await;
    assert_eq!(rig.overdue_until(id(n + 1)).await, HashSet::from([id(n + 1)]));
    rig.sessions.settle(id(n + 1)).await.expect("it exists");

    let resumed = rig.ask(paused, Command::Resume).await.expect("it is paused");
    rig.approach(deadline(&resumed)).await;
    assert_eq!(rig.overdue_until(paused).await, HashSet::from([paused]));
}

pub async fn a_session_that_was_deleted_is_not_overdue(rig: Rig<impl Backend>) {
    rig.start_short(1, SHORT).await;
    rig.delete(id(1)).await;
    let other = rig.start_short(2, SHORT).await;
    rig.approach(deadline(&other)).await;
    assert_eq!(rig.overdue_until(id(2)).await, HashSet::from([id(2)]));
}

pub async fn an_earlier_deadline_is_noticed_while_waiting_for_a_later_one(rig: Rig<impl Backend>) {
    rig.start(new_session(1)).await;
    let mut overdue = pin!(rig.overdue_until(id(2)));
    assert!(waits(overdue.as_mut()).await, "nobody is overdue");
    let soon = rig.start_short(2, SHORT).await;
    rig.pass_until(deadline(&soon)).await;
    assert_eq!(overdue.await, HashSet::from([id(2)]));
}

pub async fn deadlines_are_waited_for_one_after_the_other(rig: Rig<impl Backend>) {
    let mut deadlines = Vec::new();
    for n in 1..=3 {
        deadlines.push((n, deadline(&rig.start_short(n, SHORT.times(n)).await)));
    }
    for (n, deadline) in deadlines {
        let mut overdue = pin!(rig.overdue_until(id(n)));
        let waits = waits(overdue.as_mut()).await;
        rig.pass_until(deadline).await;
        if waits {
            overdue.await;
        }
        rig.sessions.settle(id(n)).await.expect("it exists");
    }
}

pub async fn every_deadline_is_named(rig: Rig<impl Backend>) {
    const SESSIONS: u64 = 100;
    let mut last = Timestamp::default();
    for n in 1..=SESSIONS {
        last = last.max(deadline(&rig.start_short(n, Millis::new(1 + n % 50)).await));
    }
    rig.pass_until(last).await;
    let mut left: HashSet<_> = (1..=SESSIONS).map(id).collect();
    while !left.is_empty() {
        for id in rig.overdue().await {
            assert!(left.remove(&id), "{id} was settled before");
            let done = rig.sessions.settle(id).await.expect("it exists");
            assert_eq!(done.record.expect("it exists").session().status, Status::Expired);
        }
    }
}

pub async fn what_ran_out_is_not_hidden_from_readers(rig: Rig<impl Backend>) {
    let started = rig.start_short(1, SHORT).await;
    rig.pass_until(deadline(&started)).await;
    let stored = rig.read(id(1)).await.expect("it exists");
    assert_eq!(stored.session(), started.session(), "a store does not settle by itself");
    let read = rig.sessions.read(id(1)).await.expect("it exists").snapshot.session().expect("it can be read");
    assert_eq!(read.status, Status::Expired);
    assert_eq!(rig.read(id(1)).await.expect("it exists").session(), &read);
}
