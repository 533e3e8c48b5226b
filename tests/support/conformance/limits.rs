//! Rate limits.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use synckairos::client::{ClientAddress, ClientId};
use synckairos::engine::{Command, Millis, Outcome, Precondition, Refusal};
use synckairos::sessions::{CommandReply, CommandRequest, Failure, Sessions};
use synckairos::store::{
    CommandOrigin, Commit, CommitOutcome, Decision, Mutation, REFUSALS, RateLimit, RateLimitStatus,
};

use super::rig::{SWITCH, id, new_session};
use super::{Backend, Rig};

/// A window that no case lives to see the end of.
const RATE: RateLimit = RateLimit { max: 2, window_s: 600 };

impl<B: Backend> Rig<B> {
    /// Asks for a switch under a limit.
    async fn switch(&self, n: u64, rate: RateLimit) -> CommandReply {
        let sessions = Sessions::new(Arc::clone(&self.store) as _).with_switch_limit(Some(rate));
        sessions.change(id(n), self.store.arrive(id(n)), SWITCH.into()).await
    }

    /// Somebody asks for a switch under a limit.
    async fn switch_by(&self, n: u64, client: ClientId, command: Command) -> CommandReply {
        let sessions = Sessions::new(Arc::clone(&self.store) as _).with_switch_limit(Some(RATE));
        let request = CommandRequest { client: Some(client), ..command.into() };
        sessions.change(id(n), self.store.arrive(id(n)), request).await
    }
}

#[track_caller]
fn check(quota: Option<RateLimitStatus>, rate: RateLimit, hits: u32, remaining: u32) {
    let quota = quota.expect("there is a limit");
    assert_eq!((quota.rate, quota.hits, quota.remaining()), (rate, hits, remaining));
    assert_eq!(quota.is_exceeded(), hits > rate.max);
    assert!((1..=rate.window_s).contains(&quota.reset_s), "{quota:?}");
}

pub async fn what_is_refused_gives_its_count_back(rig: Rig<impl Backend>) {
    for _ in 0..5 {
        let reply = rig.switch(1, RATE).await;
        assert!(matches!(reply.result, Err(Failure::Refused(_, Refusal::NotFound))), "{reply:?}");
        check(reply.quota, RATE, 0, 2);
    }
    rig.start(new_session(1)).await;
    for (hits, remaining) in [(1, 1), (2, 0)] {
        let reply = rig.switch(1, RATE).await;
        assert!(reply.result.is_ok(), "{reply:?}");
        check(reply.quota, RATE, hits, remaining);
    }
    for _ in 0..5 {
        let reply = rig.switch(1, RATE).await;
        assert!(matches!(reply.result, Err(Failure::Limited(_))), "{reply:?}");
        check(reply.quota, RATE, 3, 0);
    }
}

pub async fn a_client_that_is_refused_too_often_is_limited_alone(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    let waiting = started.session().participants[1].id;
    let late = Command::Switch { next: None, current: Some(waiting) };
    let [late_one, other] = ["192.0.2.1", "192.0.2.2"].map(client);
    let mut refused = 0;
    // A window of a second may end in the middle of it.
    let quota = loop {
        match rig.switch_by(1, late_one, late.clone()).await.result {
            Err(Failure::Refused(_, Refusal::Conflict { .. })) => refused += 1,
            Err(Failure::Limited(quota)) => break quota,
            other => panic!("{other:?}"),
        }
        assert!(refused < 1_000, "nobody is told");
    };
    assert!(refused >= REFUSALS.max, "only {refused} were refused");
    assert_eq!((quota.rate, quota.is_exceeded()), (REFUSALS, true));
    let reply = rig.switch_by(1, other, late).await;
    assert!(matches!(reply.result, Err(Failure::Refused(_, Refusal::Conflict { .. }))), "{reply:?}");
    for (hits, client) in [(1, late_one), (2, other)] {
        let reply = rig.switch_by(1, client, SWITCH).await;
        assert!(reply.result.is_ok(), "what is not refused is nobody's fault: {reply:?}");
        check(reply.quota, RATE, hits, RATE.max - hits);
    }
}

/// Nor those of anybody who may switch for all.
pub async fn the_own_switches_of_a_participant_use_up_no_others(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    let participants = started.session().participants.iter().map(|participant| Some(participant.id));
    let counted: Vec<_> = participants.chain([None]).collect();
    let sessions = Sessions::new(Arc::clone(&rig.store) as _).with_switch_limit(Some(RATE));
    let switch = async |participant, version| {
        let precondition = Precondition { one_of: None, version };
        let request = CommandRequest { participant, precondition, ..SWITCH.into() };
        sessions.change(id(1), rig.store.arrive(id(1)), request).await
    };
    for participant in &counted {
        for hits in 1..=RATE.max {
            let refused = switch(*participant, Some(0)).await;
            assert!(matches!(refused.result, Err(Failure::Refused(_, Refusal::Conflict { .. }))), "{refused:?}");
            check(refused.quota, RATE, hits - 1, RATE.max + 1 - hits);
            let reply = switch(*participant, None).await;
            assert!(reply.result.is_ok(), "{participant:?}: {reply:?}");
            check(reply.quota, RATE, hits, RATE.max - hits);
        }
        let reply = switch(*participant, None).await;
        assert!(matches!(reply.result, Err(Failure::Limited(_))), "{participant:?}: {reply:?}");
    }
    for participant in counted {
        let reply = switch(participant, None).await;
        assert!(matches!(reply.result, Err(Failure::Limited(_))), "{participant:?}: {reply:?}");
    }
}

pub async fn beyond_the_limit_nothing_is_judged(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    let judged = Arc::new(AtomicU32::new(0));
    for hits in 1..=5 {
        let count = Arc::clone(&judged);
        let decide = move |_: synckairos::store::DecisionContext<'_>| {
            count.fetch_add(1, Ordering::Relaxed);
            Decision { write: Mutation::Nothing, verdict: Ok(Outcome::default()) }
        };
        let arrival = Some(rig.store.arrive(id(1)));
        let commit = Commit {
            id: id(1),
            arrival,
            rate: Some(RATE),
            participant: None,
            client: None,
            origin: CommandOrigin::default(),
            decide: Box::new(decide),
        };
        let (is_judged, quota) = match rig.commit_limited(commit).await {
            CommitOutcome::Decided(committed) => (true, committed.quota),
            CommitOutcome::RateLimited(quota) => (false, Some(quota)),
        };
        assert_eq!(is_judged, hits <= RATE.max);
        check(quota, RATE, hits.min(RATE.max + 1), RATE.max.saturating_sub(hits));
    }
    assert_eq!(judged.load(Ordering::Relaxed), RATE.max);
    let reply = rig.switch(1, RATE).await;
    assert!(matches!(reply.result, Err(Failure::Limited(_))), "{reply:?}");
    assert_eq!(rig.read(id(1)).await.expect("it exists").session(), started.session());
    let paused = rig.ask(id(1), Command::Pause).await.expect("what has no limit is not limited");
    assert_eq!(paused.session().version, 3);
}

pub async fn a_window_ends(rig: Rig<impl Backend>) {
    let rate = RateLimit { max: 1, window_s: 1 };
    let client = client("127.0.0.1");
    rig.start(new_session(1)).await;
    check(rig.switch(1, rate).await.quota, rate, 1, 0);
    check(rig.store.hit_rate_limit(client, rate).await.ok(), rate, 1, 0);
    rig.pass(Millis::new(1_000)).await;
    let reply = rig.switch(1, rate).await;
    assert!(reply.result.is_ok(), "{reply:?}");
    check(reply.quota, rate, 1, 0);
    check(rig.store.hit_rate_limit(client, rate).await.ok(), rate, 1, 0);
}

pub async fn sessions_do_not_share_a_limit(rig: Rig<impl Backend>) {
    for n in 1..=3 {
        rig.start(new_session(n)).await;
        check(rig.switch(n, RATE).await.quota, RATE, 1, 1);
    }
    check(rig.switch(2, RATE).await.quota, RATE, 2, 0);
    check(rig.switch(3, RATE).await.quota, RATE, 2, 0);
    assert_eq!(rig.sessions.change(id(1), rig.store.arrive(id(1)), SWITCH.into()).await.quota, None);
    check(rig.switch(1, RATE).await.quota, RATE, 2, 0);
}

pub async fn clients_are_counted_each_for_itself(rig: Rig<impl Backend>) {
    let clients = ["127.0.0.1", "127.0.0.2", "::1", "2001:db8::1"].map(client);
    for (hits, remaining) in [(1, 1), (2, 0), (3, 0)] {
        for client in clients {
            check(rig.store.hit_rate_limit(client, RATE).await.ok(), RATE, hits, remaining);
        }
    }
    rig.start(new_session(1)).await;
    check(rig.switch(1, RATE).await.quota, RATE, 1, 1);
}

fn client(ip: &str) -> ClientId {
    ClientAddress::of(ip.parse::<IpAddr>().expect("an address")).into()
}
