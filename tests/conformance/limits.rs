//! How often something may be asked for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use synckairos::client_address::ClientAddress;
use synckairos::engine::{Command, Millis, Outcome, Refusal};
use synckairos::sessions::{Failure, Rates, Reply, Sessions};
use synckairos::store::{Commit, Decision, Quota, Rate, Write};

use super::rig::{SWITCH, id, new_session};
use super::{Backend, Rig};

/// A window that no case lives to see the end of.
const RATE: Rate = Rate { max: 2, window_s: 600 };

impl<B: Backend> Rig<B> {
    /// Asks for a switch under a limit.
    async fn switch(&self, n: u64, rate: Rate) -> Reply {
        let sessions = Sessions::new(Arc::clone(&self.store), Rates { switch: Some(rate), general: None });
        sessions.change(id(n), self.store.arrive(id(n)), SWITCH.into()).await
    }
}

#[track_caller]
fn check(quota: Option<Quota>, rate: Rate, hits: u32, remaining: u32) {
    let quota = quota.expect("there is a limit");
    assert_eq!((quota.rate, quota.hits, quota.remaining()), (rate, hits, remaining));
    assert_eq!(quota.is_exceeded(), hits > rate.max);
    assert!((1..=rate.window_s).contains(&quota.reset_s), "{quota:?}");
}

pub(crate) async fn a_limit_counts_before_the_session_is_looked_up(rig: Rig<impl Backend>) {
    for (hits, remaining) in [(1, 1), (2, 0)] {
        let reply = rig.switch(1, RATE).await;
        assert!(matches!(reply.result, Err(Failure::Refused(_, Refusal::NotFound))), "{reply:?}");
        check(reply.quota, RATE, hits, remaining);
    }
    rig.start(new_session(1)).await;
    let reply = rig.switch(1, RATE).await;
    assert!(matches!(reply.result, Err(Failure::Limited(_))), "{reply:?}");
    check(reply.quota, RATE, 3, 0);
}

pub(crate) async fn beyond_the_limit_nothing_is_judged(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    let judged = Arc::new(AtomicU32::new(0));
    for hits in 1..=5 {
        let count = Arc::clone(&judged);
        let decide = move |_: synckairos::store::Current<'_>| {
            count.fetch_add(1, Ordering::Relaxed);
            Decision { write: Write::Nothing, verdict: Ok(Outcome::default()) }
        };
        let arrival = Some(rig.store.arrive(id(1)));
        let committed = rig.commit(Commit { id: id(1), arrival, rate: Some(RATE), decide: Box::new(decide) }).await;
        assert_eq!(committed.verdict.is_some(), hits <= RATE.max);
        check(committed.quota, RATE, hits, RATE.max.saturating_sub(hits));
    }
    assert_eq!(judged.load(Ordering::Relaxed), RATE.max);
    let reply = rig.switch(1, RATE).await;
    assert!(matches!(reply.result, Err(Failure::Limited(_))), "{reply:?}");
    assert_eq!(rig.read(id(1)).await.expect("it exists").session(), started.session());
    let paused = rig.ask(id(1), Command::Pause).await.expect("what has no limit is not limited");
    assert_eq!(paused.session().version, 3);
}

pub(crate) async fn a_window_ends(rig: Rig<impl Backend>) {
    let rate = Rate { max: 1, window_s: 1 };
    let client = client("127.0.0.1");
    rig.start(new_session(1)).await;
    check(rig.switch(1, rate).await.quota, rate, 1, 0);
    check(rig.store.count(client, rate).await.ok(), rate, 1, 0);
    rig.pass(Millis::new(1_000)).await;
    let reply = rig.switch(1, rate).await;
    assert!(reply.result.is_ok(), "{reply:?}");
    check(reply.quota, rate, 1, 0);
    check(rig.store.count(client, rate).await.ok(), rate, 1, 0);
}

pub(crate) async fn sessions_do_not_share_a_limit(rig: Rig<impl Backend>) {
    for n in 1..=3 {
        rig.start(new_session(n)).await;
        check(rig.switch(n, RATE).await.quota, RATE, 1, 1);
    }
    check(rig.switch(2, RATE).await.quota, RATE, 2, 0);
    check(rig.switch(3, RATE).await.quota, RATE, 2, 0);
    assert_eq!(rig.sessions.change(id(1), rig.store.arrive(id(1)), SWITCH.into()).await.quota, None);
    check(rig.switch(1, RATE).await.quota, RATE, 2, 0);
}

pub(crate) async fn clients_are_counted_each_for_itself(rig: Rig<impl Backend>) {
    let clients = ["127.0.0.1", "127.0.0.2", "::1", "2001:db8::1"].map(client);
    for (hits, remaining) in [(1, 1), (2, 0), (3, 0)] {
        for client in clients {
            check(rig.store.count(client, RATE).await.ok(), RATE, hits, remaining);
        }
    }
    rig.start(new_session(1)).await;
    check(rig.switch(1, RATE).await.quota, RATE, 1, 1);
}

fn client(ip: &str) -> ClientAddress {
    ClientAddress::of(ip.parse::<IpAddr>().expect("an address"))
}
