//! The embedded backend: the contract under both clocks, and its lifetimes, which need a clock that moves by hours.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use synckairos::clock::Clock;
use synckairos::deadlines;
use synckairos::engine::{
    Command, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Refusal, Status, Timestamp, Uuid,
};
use synckairos::sessions::{Failure, Sessions};
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::{self, Lifetimes, Listener, Metrics, StoreError};
use synckairos::supervision::Supervisor;
use tokio::task::JoinSet;

use test_support::conformance::recorder::Recorder;
use test_support::conformance::rig::{LONG, SWITCH, id, new_session, refusal, waits};
use test_support::conformance::{Backend, Rig};
use test_support::wait::until;

const HOUR: Millis = Millis::new(3_600_000);
const DAY: Millis = Millis::new(86_400_000);
const LIFETIMES: Lifetimes = Lifetimes { pending: DAY, idle: DAY, ended: HOUR };
const LIMIT: Limit = Limit { sessions_max: 1_000, bytes_max: usize::MAX, tombstone_ttl: HOUR, lifetimes: LIFETIMES };

/// By the operating system's clock.
struct System(Memory);

impl Backend for System {
    async fn open(listener: Arc<dyn Listener>, lifetimes: Lifetimes) -> Self {
        Self(Memory::new(Clock::system(), Limit { lifetimes, ..LIMIT }, listener, Metrics::default()))
    }

    fn store(&self) -> Arc<dyn store::Backend> {
        Arc::new(self.0.clone())
    }
}

/// By a clock that is moved, with room for so many sessions.
struct Manual<const SESSIONS_MAX: usize = 1_000>(Clock, Memory);

impl<const SESSIONS_MAX: usize> Backend for Manual<SESSIONS_MAX> {
    async fn open(listener: Arc<dyn Listener>, lifetimes: Lifetimes) -> Self {
        let clock = Clock::manual(Timestamp::from_ms(1_769_860_800_000));
        let limit = Limit { sessions_max: SESSIONS_MAX, lifetimes, ..LIMIT };
        Self(clock.clone(), Memory::new(clock, limit, listener, Metrics::default()))
    }

    fn store(&self) -> Arc<dyn store::Backend> {
        Arc::new(self.1.clone())
    }

    async fn pass_until(&self, at: Timestamp) {
        self.0.advance_to(at);
    }
}

mod system {
    use super::System;
    test_support::cases!(System);
}

mod manual {
    use super::Manual;
    test_support::cases!(Manual);
}

/// Lets the store do its upkeep once.
async fn sweep<const SESSIONS_MAX: usize>(rig: &Rig<Manual<SESSIONS_MAX>>) {
    tokio::select! {
        biased;
        () = rig.store.run() => {}
        () = std::future::ready(()) => {}
    }
}

/// A session that is `commands` old, and how long it is kept after the last of them.
async fn check_lifetime(new: NewSession, commands: &[Command], lifetime: Millis) {
    let rig = Rig::<Manual>::open().await;
    let _watched = rig.watch(new.id).await;
    let id = new.id;
    let mut record = rig.create(new.clone()).await.expect("the id is free");
    for command in commands {
        rig.pass(HOUR).await;
        record = rig.ask(id, command.clone()).await.expect("the command fits");
    }
    let gone = rig.now().await + lifetime;
    rig.pass_until(Timestamp::from_ms(gone.as_ms() - 1)).await;
    sweep(&rig).await;
    assert_eq!(rig.read(id).await.expect("it is not old enough").session(), record.session(), "{commands:?}");
    rig.pass_until(gone).await;
    if record.session().deadline().is_some() {
        // What its clock does comes first; then it is kept for as long as what has ended.
        assert_eq!(rig.read(id).await.expect("it is not settled").session(), record.session(), "{commands:?}");
        sweep(&rig).await;
        record = rig.sessions.settle(id).await.expect("it is there").record.expect("it is there");
        assert_eq!(record.session().status, Status::Expired);
        rig.pass(Millis::new(HOUR.as_ms() - 1)).await;
        sweep(&rig).await;
        assert!(rig.read(id).await.is_some(), "{commands:?}");
        rig.pass(Millis::new(1)).await;
    }
    let heard = rig.heard.tags(id);
    assert!(rig.read(id).await.is_none(), "{commands:?}");
    assert!(rig.watch(id).await.snapshot.is_none());
    let seen = rig.look(id, None).await;
    assert_eq!((seen.session, seen.epoch), (None, 0));
    assert_eq!(refusal(rig.ask(id, SWITCH).await), Refusal::NotFound);
    let kept = Arc::downgrade(&record);
    drop(record);
    sweep(&rig).await;
    assert_eq!(rig.heard.tags(id).len(), heard.len() + 1, "whoever watches is told");
    let told = rig.heard.deletions(id);
    assert!(told.last().is_some_and(|told| told.contains(r#""reason":"lapsed""#)), "{told:?}");
    assert_eq!(kept.strong_count(), 0, "its memory is returned");
    let again = rig.create(new).await.expect("the id is free again");
    assert_eq!((again.session().version, again.session().epoch), (1, rig.now().await.as_ms()));
}

#[tokio::test]
async fn a_session_is_kept_for_its_lifetime() {
    let (start, pause) = (Command::Start, Command::Pause);
    let mut endless = new_session(1);
    endless.mode = synckairos::engine::Mode::CountUp;
    let mut brief = new_session(1);
    brief.participants[0].total_time = HOUR + HOUR;
    for (new, commands, lifetime) in [
        (new_session(1), &[][..], DAY),
        (new_session(1), std::slice::from_ref(&start), LONG + HOUR),
        (brief, std::slice::from_ref(&start), HOUR + HOUR + HOUR),
        (endless, std::slice::from_ref(&start), DAY),
        (new_session(1), &[start.clone(), pause.clone()], DAY),
        (new_session(1), &[start.clone(), pause, Command::Resume], LONG - HOUR + HOUR),
        (new_session(1), &[start.clone(), Command::Complete], HOUR),
        (new_session(1), &[Command::Cancel], HOUR),
    ] {
        check_lifetime(new, commands, lifetime).await;
    }
}

/// Memory that sessions take is given back whichever way they go.
#[tokio::test]
async fn what_sessions_take_is_counted() {
    let clock = Clock::manual(Timestamp::from_ms(1_769_860_800_000));
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut registry, Supervisor::default());
    let limit = Limit { bytes_max: 200_000, sessions_max: 4, ..LIMIT };
    let store: Arc<dyn store::Backend> =
        Arc::new(Memory::new(clock.clone(), limit, Arc::new(Recorder::default()), metrics));
    let held = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("it is text");
        let line = text.lines().find_map(|line| line.strip_prefix("synckairos_sessions_bytes ")).expect("it is shown");
        line.parse::<usize>().expect("a number")
    };
    let sessions = Sessions::new(Arc::clone(&store) as _);
    let create = async |n, participants| {
        let new = crowd(n, participants);
        sessions.create(sessions.arrive(new.id), new).await
    };
    let is_full = |done: &Result<_, Failure>| matches!(done, Err(Failure::Store(StoreError::Unavailable(_))));
    assert_eq!(held(), 0);
    let large = create(1, 300).await.expect("there is room");
    let taken = held();
    assert!((90_000..160_000).contains(&taken), "{taken} bytes");
    drop(large);
    assert!(is_full(&create(2, 300).await), "large ones leave a fifth to others");
    assert_eq!(held(), taken);
    create(3, 2).await.expect("small ones have room");
    let before = held();
    sessions.change(id(1), sessions.arrive(id(1)), Command::Start.into()).await.result.expect("it can be started");
    assert!(held().abs_diff(before) < 200, "a state takes the place of the one before");
    let delete = sessions.change(id(1), sessions.arrive(id(1)), Command::Delete.into()).await;
    delete.result.expect("anything can be deleted");
    assert!(held() < 10_000, "{}", held());
    create(4, 300).await.expect("there is room again");
    clock.advance_to(clock.now() + DAY + DAY);
    tokio::select! {
        biased;
        () = store.run() => {}
        () = std::future::ready(()) => {}
    }
    assert_eq!(held(), 0);
}

/// A session of so many participants.
fn crowd(n: u64, participants: u64) -> NewSession {
    let mut new = new_session(n);
    let one = new.participants[0].clone();
    new.participants = (0..participants)
        .map(|place| NewParticipant {
            id: ParticipantId(Uuid::from_bits(0x4000_8000_0000_0000_0000 | u128::from(place))),
            ..one.clone()
        })
        .collect();
    new
}

#[tokio::test]
async fn what_is_due_fires_before_what_is_old_is_dropped() {
    let rig = Rig::<Manual>::open().await;
    let _watched = rig.watch(id(1)).await;
    rig.start_short(1, HOUR).await;
    let mut attended = new_session(2);
    attended.mode = Mode::CountUp;
    rig.start(attended).await;
    // Asleep, or with no time to look.
    rig.pass(DAY + HOUR).await;
    sweep(&rig).await;
    assert_eq!(rig.overdue().await, [id(1)]);
    assert!(rig.read(id(2)).await.is_none(), "nothing is due there");
    let mut agent = JoinSet::new();
    agent.spawn(deadlines::fire(
        rig.sessions.clone(),
        Arc::clone(&rig.store) as _,
        deadlines::DeadlineMetrics::default(),
        Supervisor::default(),
    ));
    until("it is fired", async || rig.heard.notices(id(1)).iter().any(|told| told.contains("TIME_EXPIRED"))).await;
    let settled = rig.read(id(1)).await.expect("it is there");
    assert_eq!(settled.session().status, Status::Expired);
    rig.pass(HOUR).await;
    until("it is gone, and that is told", async || {
        rig.heard.deletions(id(1)).iter().any(|told| told.contains(r#""reason":"lapsed""#))
    })
    .await;
}

/// A session that goes on by itself.
fn unattended(n: u64) -> NewSession {
    let mut new = new_session(n);
    (new.mode, new.on_timeout) = (Mode::PerCycle, OnTimeout::Advance);
    new.time_per_cycle = Some(Millis::new(1_000));
    new
}

#[tokio::test]
async fn an_unattended_session_has_no_timer_after_a_hundred_turns() {
    let rig = Rig::<Manual>::open().await;
    let mut last = rig.start(unattended(1)).await;
    for _ in 0..100 {
        rig.pass_until(last.deadline().expect("a clock runs")).await;
        assert_eq!(rig.overdue().await, [id(1)]);
        last = rig.sessions.settle(id(1)).await.expect("it is there").record.expect("it is there");
    }
    let deadline = last.deadline().expect("a clock runs");
    assert_eq!(deadline, last.session().created_at + Millis::new(101_000));
    rig.pass(HOUR).await;
    sweep(&rig).await;
    let mut overdue = std::pin::pin!(rig.overdue());
    assert!(waits(overdue.as_mut()).await, "nobody looks");
    // Whoever asks sees what happened, as one change.
    let seen = rig.sessions.read(id(1)).await.expect("it is there").snapshot;
    assert_eq!(seen.tag.version, last.session().version + 1);
    assert_eq!(seen.deadline, Some(deadline + HOUR));
    // So does the upkeep before it goes, and then it is kept for longer.
    rig.pass(HOUR + HOUR).await;
    sweep(&rig).await;
    assert_eq!(overdue.await, [id(1)]);
    last = rig.sessions.settle(id(1)).await.expect("it is there").record.expect("it is there");
    assert_eq!(last.session().version, seen.tag.version + 1);
    sweep(&rig).await;
    assert!(rig.read(id(1)).await.is_some());
    // Somebody is back.
    rig.ask(id(1), SWITCH).await.expect("it runs");
    rig.pass(Millis::new(1_000)).await;
    assert_eq!(rig.overdue().await, [id(1)]);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn who_waits_for_a_command_in_time_is_woken_when_that_is_judged() {
    let rig = Rig::<Manual>::open().await;
    let started = rig.start_short(1, HOUR).await;
    let arrivals = [rig.store.arrive(id(1)), rig.store.arrive(id(1))];
    rig.pass_until(started.deadline().expect("a clock runs")).await;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut settle = pin!(rig.sessions.settle(id(1)));
    let mut poll = || settle.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    for (woken_so_far, arrival) in arrivals.into_iter().enumerate() {
        for _ in 0..3 {
            assert!(!poll());
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), woken_so_far, "nobody spins");
        drop(arrival);
        assert_eq!(woken.0.load(Ordering::Relaxed), woken_so_far + 1);
    }
    assert!(poll());
}

#[tokio::test]
async fn a_tombstone_expires() {
    let rig = Rig::<Manual>::open().await;
    let created = rig.create(new_session(1)).await.expect("the id is free");
    rig.delete(id(1)).await;
    let forgotten = rig.now().await + HOUR;
    rig.pass_until(Timestamp::from_ms(forgotten.as_ms() - 1)).await;
    assert_eq!(rig.look(id(1), None).await.epoch, created.session().epoch + 1);
    rig.pass_until(forgotten).await;
    assert_eq!(rig.look(id(1), None).await.epoch, 0);
    let again = rig.create(new_session(1)).await.expect("the id is free again");
    assert_eq!(again.session().epoch, forgotten.as_ms());
}

#[track_caller]
fn check_full<T: std::fmt::Debug>(created: Result<T, Failure>) {
    assert!(matches!(created, Err(Failure::Store(StoreError::Unavailable(_)))), "{created:?}");
}

#[tokio::test]
async fn a_full_store_takes_no_further_session() {
    let rig = Rig::<Manual<3>>::open().await;
    for n in 1..=3 {
        rig.start(new_session(n)).await;
    }
    check_full(rig.create(new_session(4)).await);
    assert!(rig.read(id(4)).await.is_none());
    assert_eq!(refusal(rig.create(new_session(1)).await), Refusal::Exists);
    rig.ask(id(1), SWITCH).await.expect("what is there goes on");

    rig.delete(id(1)).await;
    rig.delete(id(5)).await;
    rig.create(new_session(4)).await.expect("there is room again");
    check_full(rig.create(new_session(1)).await);

    rig.pass(DAY + HOUR).await;
    for n in 2..=3 {
        rig.sessions.settle(id(n)).await.expect("it is there until its clock has run out");
    }
    rig.pass(HOUR).await;
    sweep(&rig).await;
    for n in 1..=3 {
        rig.create(new_session(n)).await.expect("all are gone");
    }
    check_full(rig.create(new_session(4)).await);
}

#[tokio::test]
async fn a_session_that_comes_back_takes_no_more_room() {
    let rig = Rig::<Manual<2>>::open().await;
    for _ in 0..5 {
        rig.create(new_session(1)).await.expect("there is room");
        rig.pass(DAY).await;
    }
    rig.create(new_session(1)).await.expect("there is room");
    rig.create(new_session(2)).await.expect("there is room");
    check_full(rig.create(new_session(3)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_sessions_come_in_at_once_than_there_is_room_for() {
    for _ in 0..20 {
        let rig = Arc::new(Rig::<Manual<10>>::open().await);
        let mut tasks = JoinSet::new();
        for n in 0..64 {
            let rig = Arc::clone(&rig);
            tasks.spawn(async move { rig.create(new_session(n)).await.is_ok() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|created| *created).count(), 10);
    }
}

#[tokio::test]
async fn tombstones_beyond_the_limit_expire_oldest_first() {
    const DELETED: u64 = 4_000;
    let rig = Rig::<Manual<64>>::open().await;
    for n in 1..=DELETED {
        rig.create(new_session(n)).await.expect("the id is free");
        rig.delete(id(n)).await;
        rig.pass(Millis::new(1)).await;
    }
    let mut remembered = Vec::new();
    for n in 1..=DELETED {
        if rig.look(id(n), None).await.epoch > 0 {
            remembered.push(n);
        }
    }
    assert!((1..=64).contains(&remembered.len()), "{} are remembered", remembered.len());
    assert_eq!(remembered.last(), Some(&DELETED), "the newest is");
    let again = rig.create(new_session(1)).await.expect("the id is free again");
    assert_eq!(again.session().epoch, rig.now().await.as_ms(), "an epoch grows with time alone");
}

/// A thousand clocks that run out while nobody looks, one after the other.
#[tokio::test]
async fn every_clock_that_ran_out_in_one_change_is_announced() {
    const CLOCKS: u64 = 1_000;
    let rig = Rig::<Manual>::open().await;
    let mut new = new_session(1);
    new.on_timeout = synckairos::engine::OnTimeout::Advance;
    let one = new.participants[0].clone();
    new.participants = (0..CLOCKS)
        .map(|n| synckairos::engine::NewParticipant {
            id: synckairos::engine::ParticipantId(synckairos::engine::Uuid::from_bits(u128::from(n))),
            index: n,
            total_time: Millis::new(1_000),
            ..one.clone()
        })
        .collect();
    let _watched = rig.watch(id(1)).await;
    rig.start(new).await;
    rig.pass(Millis::new(1_000 * CLOCKS)).await;
    let told = rig.heard.of(id(1)).len();
    rig.sessions.settle(id(1)).await.expect("it can be settled");
    let heard = &rig.heard.of(id(1))[told..];
    assert!(matches!(&heard[0], test_support::conformance::recorder::Heard::State(..)));
    let flags =
        heard[1..].iter().filter(|heard| matches!(heard, test_support::conformance::recorder::Heard::Notice(_)));
    assert_eq!((heard.len() as u64 - 1, flags.count() as u64), (CLOCKS, CLOCKS), "one each, after the state");
}
