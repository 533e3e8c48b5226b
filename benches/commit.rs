//! A switch is decided, encoded and committed: in this process, and in a real Redis with the audit job that belongs
//! to it. Alone it shows how long somebody waits; with others, what groups make of many.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synckairos::clock::Clock;
use synckairos::engine::{Command, Millis, SessionId};
use synckairos::redis::{Certificates, Keyspace, QueueKey, RedisServer};
use synckairos::sessions::Sessions;
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::redis::{CommitPolicy, QueueBudget, RecordFormat, RecordPolicy, RedisStore, StoreLocation};
use synckairos::store::{Lifetimes, Listener, Metrics, Update};
use test_support::redis::Redis;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use support::{SWITCH, new_session};

const HOUR: Millis = Millis::new(3_600_000);
/// Switches that are under way at the same time, each of a session of its own.
const WAITING: [u64; 3] = [1, 64, 512];

fn commit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("there are threads");
    let limit = Limit { sessions_max: 10_000, ..Limit::default() };
    let memory = Memory::new(Clock::system(), limit, Arc::new(Nobody), Metrics::default());
    switches(criterion, &runtime, "embedded", Sessions::new(Arc::new(memory)), || {});

    let redis = Redis::start();
    for (name, audit) in [("redis", None), ("redis_audited", Some(QueueBudget { bytes_max: u64::MAX }))] {
        let keyspace = Keyspace::new(name, 1);
        let url = redis.url();
        let server = RedisServer::parse(&url, &Certificates::default(), Duration::from_secs(1)).expect("a URL");
        let location = StoreLocation { server, keyspace: keyspace.clone(), timeout: Duration::from_secs(2) };
        let (format, lifetimes) = (RecordFormat::default(), Lifetimes::default());
        let records = RecordPolicy { format, lifetimes, tombstone_ttl: HOUR };
        let commits = CommitPolicy { audit, replicas_min: 0 };
        let (clock, metrics) = (Clock::system(), Metrics::default());
        let listener: Arc<dyn Listener> = Arc::new(Nobody);
        let store =
            runtime.block_on(async { RedisStore::new(&clock, location, records, commits, &listener, &metrics) });
        // Nobody writes the audit down here: what is queued would only take up room.
        let waiting = keyspace.all().map(|partition| keyspace.queue(partition, QueueKey::Wait)).collect::<Vec<_>>();
        let forget = || redis::cmd("DEL").arg(&waiting).exec(&mut redis.connect());
        let sessions = Sessions::new(Arc::new(store));
        switches(criterion, &runtime, name, sessions, || forget().expect("it answers"));
    }
}

/// Measures one switch when so many are under way.
fn switches(criterion: &mut Criterion, runtime: &Runtime, name: &str, sessions: Sessions, before: impl Fn()) {
    let ids: Vec<_> = (0..WAITING[2]).map(|n| runtime.block_on(begin(&sessions, n))).collect();
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(1));
    for waiting in WAITING {
        group.bench_function(BenchmarkId::new(name, waiting), |bencher| {
            bencher.iter_custom(|switches| {
                before();
                runtime.block_on(run(&sessions, &ids[..waiting as usize], switches))
            });
        });
    }
}

/// Switches all of `ids` in turn, each after its last switch was answered; how long so many switches take.
async fn run(sessions: &Sessions, ids: &[SessionId], switches: u64) -> Duration {
    let rounds = switches.div_ceil(ids.len() as u64);
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for &id in ids {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            for _ in 0..rounds {
                change(&sessions, id, SWITCH).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("it is answered");
    }
    start.elapsed().mul_f64(switches as f64 / (rounds * ids.len() as u64) as f64)
}

async fn begin(sessions: &Sessions, n: u64) -> SessionId {
    let new = new_session(n, 2);
    let id = new.id;
    sessions.create(sessions.arrive(id), new).await.expect("the id is free");
    change(sessions, id, Command::Start).await;
    id
}

async fn change(sessions: &Sessions, id: SessionId, command: Command) {
    sessions.change(id, sessions.arrive(id), command.into()).await.result.expect("the command fits");
}

/// Watches nothing.
struct Nobody;

impl Listener for Nobody {
    fn update(&self, _: SessionId, _: &Update) {}
}

criterion_group!(benches, commit);
criterion_main!(benches);
