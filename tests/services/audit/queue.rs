//! Jobs from the queue to a sink that fails in every way: each is written, retried, or a dead letter with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use synckairos::audit::{AuditMetrics, AuditQueue, Consumer, QueueStats, Sink, Sinks, WriteError};
use synckairos::clock::Clock;
use synckairos::engine::Timestamp;
use synckairos::redis::{Certificates, Keyspace, RedisServer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use test_support::redis::Redis;
use test_support::wait;

/// What a sink does with a batch, by the numbers in it.
type Verdict = Arc<dyn Fn(&[u64]) -> Result<(), WriteError> + Send + Sync>;

/// What was written: how often each number was.
type Written = Arc<Mutex<BTreeMap<u64, u32>>>;

struct Scripted {
    verdict: Verdict,
    written: Written,
}

impl Sink for Scripted {
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError> {
        let number = |job: &&[u8]| {
            let job: Value = serde_json::from_slice(job).expect("a job is JSON");
            job["version"].as_u64().expect("a version")
        };
        let numbers: Vec<_> = jobs.iter().map(number).collect();
        (self.verdict)(&numbers)?;
        let mut written = self.written.lock();
        numbers.iter().for_each(|number| *written.entry(*number).or_default() += 1);
        Ok(())
    }

    fn probe(&mut self) -> Result<(), WriteError> {
        (self.verdict)(&[])
    }

    fn disconnect(&mut self) {}
}

fn job(number: u64) -> String {
    format!(
        r#"{{"event_id":"{number:08x}-0000-4000-8000-000000000000","session_id":"{:08x}-0000-4000-8000-000000000001","epoch":1,"version":{number},"event_type":"session_updated","timestamp_ms":1,"cycle_number":0,"events":[],"state":{{}}}}"#,
        number % 7
    )
}

/// Queues jobs as a committer does.
fn push(redis: &Redis, numbers: impl Iterator<Item = u64>) {
    let mut commands = redis::pipe();
    for number in numbers {
        let job = job(number);
        commands.cmd("RPUSH").arg("db-writes:wait").arg(&job).ignore();
        let session = format!("{:08x}-0000-4000-8000-000000000001", number % 7);
        commands.cmd("HSET").arg("db-writes:pending").arg(session).arg(format!("1.{number}")).ignore();
        commands.cmd("INCRBY").arg("db-writes:bytes").arg(job.len()).ignore();
    }
    commands.exec(&mut redis.connect()).expect("it answers");
}

fn queue(redis: &Redis) -> AuditQueue {
    AuditQueue::new(
        RedisServer::parse(&redis.url(), &Certificates::default(), Duration::from_secs(1)).expect("a URL"),
        Keyspace::new("", 1),
    )
}

async fn stats(redis: &Redis) -> QueueStats {
    queue(redis).stats().await.expect("it answers")
}

pub(super) struct Running {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Running {
    pub(super) async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("it ends well");
    }
}

fn start(redis: &Redis, written: &Written, verdict: Verdict) -> Running {
    start_with(redis, Sinks::new(4, || Box::new(Scripted { verdict: verdict.clone(), written: written.clone() })))
}

pub(super) fn start_with(redis: &Redis, sinks: Sinks) -> Running {
    let consumer = Consumer::new(&Clock::system(), vec![queue(redis)], sinks, 1 << 20, &AuditMetrics::default());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(consumer.expect("threads can be made").run(async {
        let _ = stopped.await;
    }));
    Running { task, stop }
}

fn is_once(written: &Written, numbers: impl Iterator<Item = u64>) -> bool {
    let written = written.lock();
    numbers.into_iter().all(|number| written.get(&number) == Some(&1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_written_once_and_nothing_is_left() {
    let redis = Redis::start();
    push(&redis, 1..=1_000);
    let written = Written::default();
    let running = start(&redis, &written, Arc::new(|_| Ok(())));
    wait::until("all is written", async || written.lock().len() == 1_000).await;
    running.stop().await;
    assert!(is_once(&written, 1..=1_000));
    assert_eq!(stats(&redis).await, QueueStats::default());
    let done: Vec<String> =
        redis::cmd("LRANGE").arg("db-writes:done").arg(0).arg(-1).query(&mut redis.connect()).expect("it answers");
    assert_eq!(done.len(), 100, "the last successes are remembered");
    redis::cmd("DEL").arg("db-writes:done").exec(&mut redis.connect()).expect("it answers");
    assert_eq!(redis.len(), 0, "nothing else is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_job_keeps_no_other_from_being_written() {
    let redis = Redis::start();
    let written = Written::default();
    let poison = |numbers: &[u64]| match numbers {
        numbers if numbers.contains(&50) => Err(WriteError::BadJob("what a job".to_owned())),
        numbers if numbers.contains(&60) => Err(WriteError::Constraint("never".to_owned())),
        numbers if numbers.contains(&70) => Err(WriteError::Unclear("who knows".to_owned())),
        _ => Ok(()),
    };
    push(&redis, 1..=200);
    let running = start(&redis, &written, Arc::new(poison));
    let good: Vec<u64> = (1..=200).filter(|number| ![50, 60, 70].contains(number)).collect();
    wait::until("the good ones are written", async || is_once(&written, good.iter().copied())).await;
    wait::until("the bad ones are apart", async || {
        let QueueStats { delayed, dead, waiting, leased, .. } = stats(&redis).await;
        (delayed, dead, waiting, leased) == (2, 1, 0, 0)
    })
    .await;
    assert_eq!(stats(&redis).await.oldest, Some(Timestamp::from_ms(1)), "what is delayed is not written");
    let dead = queue(&redis).dead(10).await.expect("it answers");
    assert_eq!((dead.len(), dead[0].error.as_str(), dead[0].attempts), (1, "never", 1));
    assert_eq!(dead[0].job, job(60).into_bytes(), "it is kept as it was");
    let pending: BTreeMap<String, String> =
        redis::cmd("HGETALL").arg("db-writes:pending").query(&mut redis.connect()).expect("it answers");
    let stragglers: Vec<_> = pending.iter().filter(|(field, _)| field.ends_with(":apart")).collect();
    assert_eq!(stragglers.len(), 3, "sessions that miss something are known: {pending:?}");
    // Time is not waited for: what is delayed is due now.
    for round in 1.. {
        let mut connection = redis.connect();
        let delayed: Vec<String> =
            redis::cmd("ZRANGE").arg("db-writes:delayed").arg(0).arg(-1).query(&mut connection).expect("it answers");
        for entry in delayed {
            assert!(entry.starts_with(&format!("{round} 0 {{")), "{round}: {entry}");
            redis::cmd("ZADD").arg("db-writes:delayed").arg("XX").arg(1).arg(entry).exec(&mut connection).expect("ok");
        }
        let dead = wait_for_settled(&redis).await;
        if dead == 3 {
            assert_eq!(round, 5, "after 2, 4, 8, 16 and 32 s");
            break;
        }
    }
    running.stop().await;
    assert!(is_once(&written, good.iter().copied()), "{:?}", written.lock());
}

/// Waits until what was due has been tried, and is delayed again or dead.
async fn wait_for_settled(redis: &Redis) -> u64 {
    let mut dead = 0;
    wait::until("everything is settled", async || {
        let due: u64 = redis::cmd("ZCOUNT")
            .arg("db-writes:delayed")
            .arg(0)
            .arg(1)
            .query(&mut redis.connect())
            .expect("it answers");
        let stats = stats(redis).await;
        dead = stats.dead;
        due == 0 && stats.waiting + stats.leased == 0 && stats.delayed + stats.dead == 3
    })
    .await;
    dead
}

/// However many come together, the fault is theirs as soon as others pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_jobs_of_one_batch_end_apart_when_others_pass() {
    let redis = Redis::start();
    let written = Written::default();
    let poison = |numbers: &[u64]| match numbers {
        numbers if numbers.iter().any(|number| *number <= 2) => Err(WriteError::Unclear("who knows".to_owned())),
        _ => Ok(()),
    };
    push(&redis, 1..=2);
    let running = start(&redis, &written, Arc::new(poison));
    wait::until("both are held", async || stats(&redis).await.leased == 2).await;
    push(&redis, 3..=3);
    wait::until("the good one is written", async || is_once(&written, 3..=3)).await;
    let mut next = 4;
    wait::until("the bad ones are apart", async || {
        push(&redis, next..=next);
        next += 1;
        stats(&redis).await.delayed == 2
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_jobs_are_queued_again_or_dropped() {
    let redis = Redis::start();
    push(&redis, 1..=3);
    let (written, heals) = (Written::default(), Arc::new(Mutex::new(false)));
    let healed = Arc::clone(&heals);
    let verdict = move |_: &[u64]| if *healed.lock() { Ok(()) } else { Err(WriteError::Constraint("no".to_owned())) };
    let running = start(&redis, &written, Arc::new(verdict));
    wait::until("all are dead", async || stats(&redis).await.dead == 3).await;
    *heals.lock() = true;
    let event = |number: u64| format!("{number:08X}-0000-4000-8000-000000000000");
    assert!(queue(&redis).drop_dead(&event(2)).await.expect("it answers"));
    assert!(!queue(&redis).drop_dead(&event(2)).await.expect("it answers"), "it is gone");
    assert_eq!(queue(&redis).redrive(&[event(3)]).await.expect("it answers"), 1);
    wait::until("it is written", async || is_once(&written, 3..=3)).await;
    assert_eq!(queue(&redis).redrive(&[]).await.expect("it answers"), 1);
    wait::until("it is written", async || is_once(&written, 1..=1)).await;
    running.stop().await;
    assert_eq!(written.lock().len(), 2);
    assert_eq!(stats(&redis).await, QueueStats::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_costs_no_attempt() {
    let redis = Redis::start();
    push(&redis, 1..=10_000);
    let (written, is_back) = (Written::default(), Arc::new(Mutex::new(false)));
    let back = Arc::clone(&is_back);
    let tries = Arc::new(Mutex::new(0));
    let tried = Arc::clone(&tries);
    let verdict = move |_: &[u64]| {
        *tried.lock() += 1;
        if *back.lock() { Ok(()) } else { Err(WriteError::Unavailable("gone".to_owned())) }
    };
    let running = start(&redis, &written, Arc::new(verdict));
    wait::until("nobody holds what it cannot write", async || {
        let QueueStats { waiting, leased, .. } = stats(&redis).await;
        *tries.lock() > 0 && (waiting, leased) == (10_000, 0)
    })
    .await;
    assert_eq!(stats(&redis).await.oldest, Some(Timestamp::from_ms(1)));
    *is_back.lock() = true;
    wait::until("all is written", async || is_once(&written, 1..=10_000)).await;
    running.stop().await;
    assert_eq!(stats(&redis).await, QueueStats::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_leaves_no_lease_behind() {
    let redis = Redis::start();
    push(&redis, 1..=10_000);
    let written = Written::default();
    let running = start(&redis, &written, Arc::new(|_| Err(WriteError::Timeout("slow".to_owned()))));
    wait::until("a thread has a batch", async || stats(&redis).await.leased >= 2_048).await;
    running.stop().await;
    let QueueStats { waiting, leased, .. } = stats(&redis).await;
    assert_eq!((waiting, leased), (10_000, 0));
    let leases: u64 = redis::cmd("ZCARD").arg("db-writes:lease").query(&mut redis.connect()).expect("it answers");
    assert_eq!(leases, 0);
    let other = start(&redis, &written, Arc::new(|_| Ok(())));
    wait::until("somebody else writes it", async || is_once(&written, 1..=10_000)).await;
    other.stop().await;
}

/// Jobs together are longer than one batch may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_full_when_it_is_long() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    let long = |number| job(number).replace("{}", &format!(r#"{{"metadata":"{}"}}"#, "x".repeat(100_000)));
    for number in 1..=200 {
        let entry = long(number);
        redis::cmd("RPUSH").arg("db-writes:wait").arg(&entry).exec(&mut connection).expect("it answers");
        redis::cmd("INCRBY").arg("db-writes:bytes").arg(entry.len()).exec(&mut connection).expect("it answers");
    }
    let (written, sizes) = (Written::default(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&sizes);
    let verdict = move |numbers: &[u64]| {
        seen.lock().push(numbers.len());
        Ok(())
    };
    let running = start(&redis, &written, Arc::new(verdict));
    wait::until("all is written", async || is_once(&written, 1..=200)).await;
    running.stop().await;
    // 4 MiB are 42 jobs, and 64 are moved at once.
    sizes.lock().sort_unstable();
    assert_eq!(*sizes.lock(), [8, 64, 64, 64]);
}

/// The others do not wait until so many have come that they fill a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_writer_thread_delays_no_other() {
    let redis = Redis::start();
    push(&redis, 1..=1);
    let (written, begun, is_free) = (Written::default(), Arc::new(Mutex::new(false)), Arc::new(Mutex::new(false)));
    let (entered, released) = (Arc::clone(&begun), Arc::clone(&is_free));
    let verdict = move |numbers: &[u64]| {
        if numbers == [1] {
            *entered.lock() = true;
            while !*released.lock() {
                std::thread::yield_now();
            }
        }
        Ok(())
    };
    let running = start(&redis, &written, Arc::new(verdict));
    wait::until("a thread is stuck", async || *begun.lock()).await;
    push(&redis, 2..=20);
    wait::until("all others are written", async || is_once(&written, 2..=20)).await;
    assert!(!is_once(&written, 1..=1));
    assert_eq!(stats(&redis).await.oldest, Some(Timestamp::from_ms(1)), "what is held is not written");
    *is_free.lock() = true;
    wait::until("it is written too", async || is_once(&written, 1..=1)).await;
    running.stop().await;
    assert_eq!(stats(&redis).await, QueueStats::default());
}

/// Many are tried alone, and a few have just come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_alone_holds_up_nothing_new() {
    let redis = Redis::start();
    push(&redis, 301..=305);
    let mut delayed = redis::cmd("ZADD");
    delayed.arg("db-writes:delayed");
    for number in 1..=300 {
        delayed.arg(0).arg(format!("0 1 {}", job(number)));
    }
    delayed.exec(&mut redis.connect()).expect("it answers");
    let (written, order) = (Written::default(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&order);
    let verdict = move |numbers: &[u64]| {
        seen.lock().extend_from_slice(numbers);
        Ok(())
    };
    let running = start(&redis, &written, Arc::new(verdict));
    wait::until("all is written", async || is_once(&written, 1..=305)).await;
    running.stop().await;
    let last_new = order.lock().iter().rposition(|number| *number > 300).expect("they are written");
    assert!(last_new < 50, "{last_new} others went first");
}

/// An error that may be anybody's fault meets every job: it is not asked of each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_everything_is_waited_for_soon() {
    let redis = Redis::start();
    push(&redis, 1..=1_000);
    let (written, tries, heals) = (Written::default(), Arc::new(Mutex::new(0)), Arc::new(Mutex::new(false)));
    let (tried, healed) = (Arc::clone(&tries), Arc::clone(&heals));
    let verdict = move |_: &[u64]| {
        *tried.lock() += 1;
        if *healed.lock() { Ok(()) } else { Err(WriteError::Unclear("who knows".to_owned())) }
    };
    let running = start(&redis, &written, Arc::new(verdict));
    wait::until("it is tried", async || *tries.lock() > 10).await;
    wait::until("it is held back", async || stats(&redis).await.leased == 1_000).await;
    // Halves of halves down to one, then seven more.
    assert!(*tries.lock() < 40, "{} statements", *tries.lock());
    *heals.lock() = true;
    wait::until("all is written", async || is_once(&written, 1..=1_000)).await;
    running.stop().await;
    assert_eq!(stats(&redis).await, QueueStats::default(), "no job lost an attempt");
}

/// What takes too long is tried in smaller pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_written_in_pieces() {
    let redis = Redis::start();
    push(&redis, 1..=100);
    let written = Written::default();
    let late = |numbers: &[u64]| match numbers.len() {
        0..=60 => Ok(()),
        _ => Err(WriteError::Timeout("slow".to_owned())),
    };
    let running = start(&redis, &written, Arc::new(late));
    wait::until("all is written", async || is_once(&written, 1..=100)).await;
    running.stop().await;
    assert_eq!(stats(&redis).await, QueueStats::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_worker_held_is_taken_back_each_job_alone() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    // Somebody died with three jobs, and two others each with one for the third time.
    push(&redis, 1..=5);
    for (name, entries) in [("x:1", vec![job(1), job(2), job(3)]), ("x:2", vec![format!("1 2 {}", job(4))])] {
        redis::cmd("RPUSH").arg(format!("db-writes:batch:{name}")).arg(&entries).exec(&mut connection).expect("ok");
        redis::cmd("ZADD").arg("db-writes:lease").arg(1).arg(name).exec(&mut connection).expect("it answers");
    }
    redis::cmd("LTRIM").arg("db-writes:wait").arg(4).arg(-1).exec(&mut connection).expect("it answers");
    let (written, sizes) = (Written::default(), Arc::new(Mutex::new(BTreeSet::new())));
    let seen = Arc::clone(&sizes);
    let verdict = move |numbers: &[u64]| {
        seen.lock().insert(numbers.len());
        Ok(())
    };
    let running = start(&redis, &written, Arc::new(verdict));
    wait::until("all but one are written", async || is_once(&written, [1, 2, 3, 5].into_iter())).await;
    wait::until("the cause of deaths is dead", async || stats(&redis).await.dead == 1).await;
    running.stop().await;
    assert_eq!(*sizes.lock(), BTreeSet::from([1]), "each was alone");
    let dead = queue(&redis).dead(10).await.expect("it answers");
    assert_eq!((dead[0].job.clone(), dead[0].attempts), (job(4).into_bytes(), 1));
}

/// Who cannot reach the database holds nothing, so that who can writes it, and takes nothing until it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_cut_off_leaves_everything_to_others() {
    let redis = Redis::start();
    let (written, is_back) = (Written::default(), Arc::new(Mutex::new(false)));
    let (back, probes) = (Arc::clone(&is_back), Arc::new(Mutex::new(0)));
    let probed = Arc::clone(&probes);
    let cut_off = move |numbers: &[u64]| {
        *probed.lock() += u64::from(numbers.is_empty());
        if *back.lock() { Ok(()) } else { Err(WriteError::Unavailable("cut off".to_owned())) }
    };
    push(&redis, 1..=10);
    let lonely = start(&redis, &Written::default(), Arc::new(cut_off));
    wait::until("it looks for the database", async || *probes.lock() > 0).await;
    let healthy = start(&redis, &written, Arc::new(|_| Ok(())));
    wait::until("the other one writes it", async || is_once(&written, 1..=10)).await;
    push(&redis, 11..=2_000);
    wait::until("and all that comes", async || is_once(&written, 11..=2_000)).await;
    healthy.stop().await;
    *is_back.lock() = true;
    push(&redis, 2_001..=2_001);
    wait::until("it writes again when it can", async || stats(&redis).await == QueueStats::default()).await;
    lonely.stop().await;
}

/// Jobs of transactions that met others again and again are written in smaller pieces; nobody waits for the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_meets_others_is_written_in_pieces() {
    let redis = Redis::start();
    push(&redis, 1..=100);
    let written = Written::default();
    let meets = |numbers: &[u64]| match numbers.len() {
        0..=10 => Ok(()),
        _ => Err(WriteError::Conflict("deadlock detected".to_owned())),
    };
    let running = start(&redis, &written, Arc::new(meets));
    wait::until("all is written", async || is_once(&written, 1..=100)).await;
    running.stop().await;
    assert_eq!(stats(&redis).await, QueueStats::default());
}
