//! Steps of Redis' own clock, while it runs, while it is down, and by a failover: no session is charged, on any instance.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::block_in_place;

use test_support::cluster::Cluster;
use test_support::faketime::Faketime;
use test_support::http::Connection;
use test_support::instant;
use test_support::metrics::value;
use test_support::redis::{Redis, Setup};
use test_support::sentinel::Group;
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::cluster::{PARTITIONS, slot};
use super::{HOUR, instance, instance_with, start, switch};

/// How far the server clock may be off here, which Redis' own is by seconds: round trips of a machine that is busy, and
/// what a correction fades by.
const SLACK_MS: u128 = 150;
/// How long turns take here.
const TURN: Duration = Duration::from_millis(300);

/// The server clock at some time, between two readings of the test's own.
#[derive(Clone, Copy, Debug)]
struct Read {
    before: Instant,
    ms: u64,
    after: Instant,
}

impl Read {
    async fn of(client: &mut Connection) -> Self {
        let before = Instant::now();
        let ms = client.time_ms().await;
        Self { before, ms, after: Instant::now() }
    }

    /// So much time passed since an earlier one, and no more: whoever told either.
    fn check_since(&self, earlier: &Read, what: &str) {
        let passed = u128::from(self.ms.saturating_sub(earlier.ms));
        check(passed, self.before.duration_since(earlier.after), self.after.duration_since(earlier.before), what);
    }
}

fn check(passed_ms: u128, least: Duration, most: Duration, what: &str) {
    let slack = SLACK_MS + most.as_millis() / 500;
    let is_right = passed_ms + slack >= least.as_millis() && passed_ms <= most.as_millis() + slack;
    assert!(is_right, "{what}: {passed_ms} ms in {least:?} to {most:?}");
}

fn redis_by(faketime: &Faketime, options: &[&str]) -> Redis {
    Setup::default().options(options).environment(faketime.for_redis()).start()
}

const FORGETFUL: [&str; 4] = ["--save", "", "--appendonly", "no"];

fn used_ms(state: &Value, place: usize) -> u128 {
    state["participants"][place]["time_used_ms"].as_u64().expect("a number").into()
}

/// What stands in Redis of its correction, if that is text.
fn correction(redis: &Redis) -> Option<String> {
    redis::cmd("GET").arg("clock").query(&mut redis.connect()).ok()?
}

async fn jumps(instance: &Server) -> f64 {
    let metrics = instance.connect().await.ask("GET", "/metrics", "").await.body;
    value(&metrics, "synckairos_store_clock_jumps_total")
}

/// Waits until every instance has noticed so many steps.
async fn noticed(instances: &[&Server], steps: u32) {
    for instance in instances {
        wait::until("the step is noticed", async || jumps(instance).await >= f64::from(steps)).await;
    }
}

/// What the running clock of a session has used by now, as a client sees it.
async fn seen(client: &mut Connection, n: u64) -> (Value, u64) {
    let mut answer = client.ask("GET", &format!("/v1/sessions/{}", id(n)), "").await.json();
    let now = answer["server_time_ms"].as_u64().expect("a time");
    (answer["data"].take(), now)
}

/// The turn that began between `earliest` and `latest` ends now: it costs what it took.
async fn check_pause(instance: &Server, earliest: Instant, latest: Instant) {
    let mut client = instance.connect().await;
    let least = latest.elapsed();
    let paused = client.post(&id(1), "pause", &Value::Null).await;
    check(used_ms(&paused, 0), least, earliest.elapsed(), "the turn");
}

/// A turn goes on while the clock is set, ends on one instance, and the next one on the other: each costs what it took.
async fn check_turns(instances: &[&Server], n: u64, step: impl FnOnce()) {
    let (mut first, mut last) = (instances[0].connect().await, instances[instances.len() - 1].connect().await);
    first.create(&two_players(&id(n), HOUR)).await;
    let earliest = Instant::now();
    let started = first.post(&id(n), "start", &Value::Null).await;
    let latest = Instant::now();
    step();
    for instance in instances {
        // Whoever looks first sees it.
        let least = latest.elapsed();
        let (state, now) = seen(&mut instance.connect().await, n).await;
        let passed = u128::from(now.saturating_sub(instant::ms(&state["cycle_started_at"])));
        check(passed, least, earliest.elapsed(), "at once");
    }
    wait::until("a turn is over", async || latest.elapsed() > TURN).await;
    let least = latest.elapsed();
    let second_earliest = Instant::now();
    let switched = last.post(&id(n), "switch", &Value::Null).await;
    let second_latest = Instant::now();
    check(used_ms(&last.read(&id(n)).await, 0), least, earliest.elapsed(), "the turn that ran");
    wait::until("the next is over", async || second_latest.elapsed() > TURN).await;
    let least = second_latest.elapsed();
    let paused = first.post(&id(n), "pause", &Value::Null).await;
    check(used_ms(&paused, 1), least, second_earliest.elapsed(), "the turn after it");
    let all = [&started["cycle_started_at"], &switched["cycle_started_at"], &paused["updated_at"]].map(instant::ms);
    assert!(all.is_sorted(), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_charges_no_session_on_any_instance() {
    let faketime = Faketime::new(0);
    let redis = block_in_place(|| redis_by(&faketime, &FORGETFUL));
    let all = [instance(&redis.url()).await, instance(&redis.url()).await];
    let both = [&all[0], &all[1]];
    let begin = Read::of(&mut all[0].connect().await).await;
    let mut steps = 0;
    for (n, offset_s) in [(1, 15), (2, 5), (3, -3_600)] {
        check_turns(&both, n, || faketime.set(offset_s)).await;
        steps += 1;
        noticed(&both, steps).await;
        for instance in both {
            let mut client = instance.connect().await;
            Read::of(&mut client).await.check_since(&begin, "the server clock");
            let ready = client.ask("GET", "/ready", "").await;
            assert!(ready.status == 200 && ready.body.contains("the clock of Redis was set"), "{ready:?}");
        }
    }
    // Whoever comes now goes by the same.
    let third = instance(&redis.url()).await;
    Read::of(&mut third.connect().await).await.check_since(&begin, "a third instance");
    check_turns(&[both[0], &third], 4, || faketime.set(20)).await;
    noticed(&[both[0], both[1], &third], 1).await;
    Read::of(&mut third.connect().await).await.check_since(&begin, "the third after a step");
    assert_eq!(jumps(&all[0]).await, f64::from(steps + 1), "each is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_runs_out_when_its_time_is_over_whatever_redis_says() {
    const SHORT: u64 = 2_500;
    let faketime = Faketime::new(0);
    let redis = block_in_place(|| redis_by(&faketime, &FORGETFUL));
    let all = [instance(&redis.url()).await, instance(&redis.url()).await];
    for (n, offset_s) in [(1, 15), (2, 5)] {
        let mut client = all[0].connect().await;
        let mut body = two_players(&id(n), SHORT);
        body["warn_at_ms"] = json!([1_000]);
        client.create(&body).await;
        let mut watcher = Client::join(all[1].address(), &id(n)).await;
        let earliest = Instant::now();
        let started = client.post(&id(n), "start", &Value::Null).await;
        faketime.set(offset_s);
        for instance in &all {
            let (state, _) = seen(&mut instance.connect().await, n).await;
            assert_eq!(state["status"], "running", "{state}");
        }
        let warned = watcher.next_of("TIME_WARNING").await;
        assert!(earliest.elapsed().as_millis() + SLACK_MS >= 1_500, "{warned} after {:?}", earliest.elapsed());
        watcher.say(json!({"type": "PING"})).await;
        let said = watcher.next_of("PONG").await["timestamp"].as_u64().expect("a time");
        assert!(said < instant::ms(&started["deadline_at"]) + 1_000, "{said} for {started}");
        let expired = watcher.next_of("TIME_EXPIRED").await;
        let passed = earliest.elapsed();
        check(u128::from(SHORT), Duration::ZERO, passed, "it is not early");
        assert!(passed < Duration::from_secs(10) + Duration::from_millis(SHORT), "the step of 10 s delays nothing");
        assert_eq!(expired["expired_participant_id"], participant(0));
        assert_eq!(expired["expired_at"], started["deadline_at"]);
    }
}

/// Nobody reads the clock for so long that nothing that was read before counts any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unseen_step_charges_no_session() {
    let faketime = Faketime::new(0);
    let redis = block_in_place(|| redis_by(&faketime, &FORGETFUL));
    let all = [instance(&redis.url()).await, instance(&redis.url()).await];
    let mut client = all[0].connect().await;
    let earliest = Instant::now();
    start(&mut client, 1, HOUR).await;
    let latest = Instant::now();
    let begin = Read::of(&mut client).await;
    redis.signal("STOP");
    let halted = Instant::now();
    faketime.set(-600);
    wait::until("no sample counts any more", async || halted.elapsed() > Duration::from_millis(10_500)).await;
    redis.signal("CONT");
    for instance in &all {
        super::ready(instance.address()).await;
        Read::of(&mut instance.connect().await).await.check_since(&begin, "the server clock");
    }
    noticed(&[&all[0], &all[1]], 1).await;
    check_pause(&all[1], earliest, latest).await;
}

/// Restarted on its files, and emptied: nobody who was there before needs what it kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_with_another_clock_charges_no_session() {
    let faketime = Faketime::new(0);
    let mut redis = block_in_place(|| redis_by(&faketime, &["--save", "", "--appendonly", "yes"]));
    let all = [instance(&redis.url()).await, instance(&redis.url()).await];
    let mut client = all[0].connect().await;
    let earliest = Instant::now();
    start(&mut client, 1, HOUR).await;
    let latest = Instant::now();
    let begin = Read::of(&mut client).await;
    block_in_place(|| {
        redis.kill();
        faketime.set(40);
        redis.restart();
    });
    for instance in &all {
        super::ready(instance.address()).await;
        Read::of(&mut instance.connect().await).await.check_since(&begin, "after the restart");
    }
    check_pause(&all[1], earliest, latest).await;
    noticed(&[&all[0], &all[1]], 1).await;
    // What is agreed on outlives an emptied server, too.
    let agreed = async || correction(&redis).is_some_and(|text| text.starts_with('-'));
    wait::until("it is agreed on", agreed).await;
    let mut another_type = redis::pipe();
    another_type.atomic().del("clock").rpush("clock", "what is here").ignore();
    let mut emptied = redis::pipe();
    emptied.cmd("FLUSHALL").ignore();
    for damage in [emptied, another_type, redis::pipe().set("clock", "of no kind").ignore().clone()] {
        damage.exec(&mut redis.connect()).expect("it answers");
        wait::until("it is written again", agreed).await;
    }
    let third = instance(&redis.url()).await;
    for instance in [&all[0], &all[1], &third] {
        Read::of(&mut instance.connect().await).await.check_since(&begin, "after it was emptied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_another_clock_charges_no_session() {
    let clocks = [Faketime::new(0), Faketime::new(25)];
    let group = block_in_place(|| Group::start_by(&[&clocks[0], &clocks[1]]));
    let all = [instance(&group.url()).await, instance(&group.url()).await];
    let mut client = all[0].connect().await;
    let earliest = Instant::now();
    start(&mut client, 1, HOUR).await;
    let latest = Instant::now();
    let begin = Read::of(&mut client).await;
    // The master's own steps as well, so that what the replica is told does not fit its clock.
    clocks[0].set(-7);
    noticed(&[&all[0], &all[1]], 1).await;
    let before = group.master();
    let (master, _) = block_in_place(|| {
        group.hand_over();
        group.switched(before)
    });
    noticed(&[&all[0], &all[1]], 2).await;
    let agreed = async || correction(&group.nodes[master]).is_some_and(|text| text.starts_with('-'));
    wait::until("it is agreed on", agreed).await;
    let third = instance(&group.url()).await;
    for instance in [&all[0], &all[1], &third] {
        super::ready(instance.address()).await;
        Read::of(&mut instance.connect().await).await.check_since(&begin, "with the new master");
    }
    check_pause(&third, earliest, latest).await;
}

/// A correction cannot be written: each instance goes by its own monotonic clock until it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_a_redis_that_takes_no_writes_charges_no_session() {
    let faketime = Faketime::new(0);
    let redis = block_in_place(|| redis_by(&faketime, &FORGETFUL));
    let all = [instance(&redis.url()).await, instance(&redis.url()).await];
    let begin = Read::of(&mut all[0].connect().await).await;
    let set = |replicas: u32| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("min-replicas-to-write").arg(replicas).exec(&mut redis.connect()).expect("it answers");
    };
    set(1);
    faketime.set(-30);
    noticed(&[&all[0], &all[1]], 1).await;
    for instance in &all {
        Read::of(&mut instance.connect().await).await.check_since(&begin, "while it takes no changes");
    }
    set(0);
    wait::until("it is agreed on", async || correction(&redis).is_some()).await;
    for instance in &all {
        assert_eq!(jumps(instance).await, 1.0, "it is told once");
        Read::of(&mut instance.connect().await).await.check_since(&begin, "when it does again");
    }
}

/// An instance whose machine stood still takes that for a step. Whoever saw the clock go on meanwhile knows better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_others_did_not_see_is_taken_back() {
    let redis = block_in_place(Redis::start);
    let all = [instance(&redis.url()).await, instance(&redis.url()).await];
    let begin = Read::of(&mut all[0].connect().await).await;
    wait::until("they have seen the clock go on", async || begin.after.elapsed() > Duration::from_secs(2)).await;
    let mut connection = redis.connect();
    let (seconds, _): (u64, u64) = redis::cmd("TIME").query(&mut connection).expect("it answers");
    let wrong = format!("-60000000 {seconds}000000 step 500000");
    redis::cmd("SET").arg("clock").arg(&wrong).exec(&mut connection).expect("it answers");
    wait::until("it is taken back", async || {
        for instance in &all {
            Read::of(&mut instance.connect().await).await.check_since(&begin, "meanwhile");
        }
        correction(&redis).is_some_and(|text| text.ends_with("kept"))
    })
    .await;
    for instance in &all {
        assert_eq!(jumps(instance).await, 0.0);
    }
}

/// With a Cluster each partition goes by its own master's clock, and so does what that is corrected by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_one_master_of_a_cluster_charges_no_session() {
    let clocks = [Faketime::new(0), Faketime::new(0), Faketime::new(0)];
    let cluster = block_in_place(|| Cluster::start_by(&[&clocks[0], &clocks[1], &clocks[2]]));
    let settings = [("PARTITIONS", PARTITIONS.to_string())];
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
    let all = [instance_with(&cluster.url(), &settings).await, instance_with(&cluster.url(), &settings).await];
    let stepped = cluster.owner(slot(1));
    let other = (2..100).find(|n| cluster.owner(slot(*n)) != stepped).expect("there is one");
    check_turns(&[&all[0], &all[1]], 1, || clocks[stepped].set(15)).await;
    noticed(&[&all[0], &all[1]], 1).await;
    let third = instance_with(&cluster.url(), &settings).await;
    check_turns(&[&all[1], &third], other, || {}).await;
    let (kept, _) = seen(&mut third.connect().await, 1).await;
    let begin = instant::ms(&kept["updated_at"]);
    assert!(third.connect().await.time_ms().await.abs_diff(begin) < 60_000);
}

/// Windows end by Redis' own clock, and none is longer than it is for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_ends_with_its_window_although_the_clock_is_set_back() {
    let faketime = Faketime::new(0);
    let redis = block_in_place(|| redis_by(&faketime, &FORGETFUL));
    let instance = instance_with(&redis.url(), &[("RATE_LIMIT_SWITCH", "3")]).await;
    let mut client = instance.connect().await;
    start(&mut client, 1, HOUR).await;
    wait::until("its limit is reached", async || switch(&mut client, 1).await.status == 429).await;
    faketime.set(-3_600);
    wait::until("its window is over", async || switch(&mut client, 1).await.status == 200).await;
}
