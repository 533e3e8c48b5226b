//! The outbox: the audit job of a change is in the transaction that makes it, exactly once, whatever happens to the connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use synckairos::clock::Clock;
use synckairos::engine::{
    Command, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, SessionId, Uuid,
};
use synckairos::redis::{Certificates, Keyspace, RedisServer};
use synckairos::sessions::{Failure, Sessions};
use synckairos::store::redis::{CommitPolicy, QueueBudget, RecordFormat, RecordPolicy, RedisStore, StoreLocation};
use synckairos::store::{Lifetimes, Listener, Metrics, StoreError, Update};
use tokio::task::JoinSet;

use test_support::proxy::Proxy;
use test_support::redis::Redis;

struct Nobody;

impl Listener for Nobody {
    fn update(&self, _: SessionId, _: &Update) {}
}

pub(super) fn sessions(url: &str, partitions: u16) -> Sessions {
    let server = RedisServer::parse(url, &Certificates::default(), Duration::from_secs(1)).expect("a URL");
    let location = StoreLocation { server, keyspace: Keyspace::new("", partitions), timeout: Duration::from_secs(2) };
    let (format, lifetimes) = (RecordFormat::default(), Lifetimes::default());
    let records = RecordPolicy { format, lifetimes, tombstone_ttl: Millis::new(3_600_000) };
    let commits = CommitPolicy { audit: Some(QueueBudget { bytes_max: 1 << 30 }), replicas_min: 0 };
    let (clock, metrics) = (Clock::system(), Metrics::default());
    let listener: Arc<dyn Listener> = Arc::new(Nobody);
    let store = RedisStore::new(&clock, location, records, commits, &listener, &metrics);
    Sessions::new(Arc::new(store))
}

pub(super) fn id(n: u64) -> SessionId {
    SessionId(uuid(n))
}

fn uuid(n: u64) -> Uuid {
    Uuid::from_bits(0x4000_8000_0000_0000_0000 | u128::from(n))
}

pub(super) fn new_session(n: u64, time_ms: u64) -> NewSession {
    let participant =
        |n: u64| NewParticipant { id: ParticipantId(uuid(n)), index: n, total_time: Millis::new(time_ms), group: None };
    NewSession {
        id: id(n),
        mode: Mode::PerParticipant,
        on_timeout: OnTimeout::Expire,
        participants: vec![participant(0), participant(1)],
        groups: Vec::new(),
        total_time: Millis::new(time_ms),
        time_per_cycle: None,
        increment: Millis::ZERO,
        max_time: None,
        warn_at: [].into(),
        metadata: None,
        controls: None,
    }
}

async fn ask(sessions: &Sessions, n: u64, command: Command) -> Result<(), Failure> {
    sessions.change(id(n), sessions.arrive(id(n)), command.into()).await.result.map(|_| ())
}

const SWITCH: Command = Command::Switch { next: None, current: None };

/// What is queued in one partition, held to what must hold of any queue: sizes, ids, and what is pending.
fn queued(redis: &Redis, tag: &str) -> Vec<Value> {
    let mut connection = redis.connect();
    let mut commands = redis::pipe();
    commands.cmd("LRANGE").arg(format!("db-writes:{tag}wait")).arg(0).arg(-1);
    commands.cmd("HGETALL").arg(format!("db-writes:{tag}pending"));
    commands.cmd("GET").arg(format!("db-writes:{tag}bytes"));
    let (jobs, pending, bytes): (Vec<String>, BTreeMap<String, String>, Option<usize>) =
        commands.query(&mut connection).expect("it answers");
    assert_eq!(bytes.unwrap_or_default(), jobs.iter().map(String::len).sum::<usize>());
    let jobs: Vec<Value> = jobs.iter().map(|job| serde_json::from_str(job).expect("a job is JSON")).collect();
    let ids: BTreeSet<_> = jobs.iter().map(|job| job["event_id"].to_string()).collect();
    assert_eq!(ids.len(), jobs.len(), "each change has one job");
    let mut newest = BTreeMap::new();
    for job in &jobs {
        let session = job["session_id"].as_str().expect("an id").to_owned();
        newest.insert(session, format!("{}.{}", job["epoch"], job["version"]));
        assert_eq!((&job["state"]["epoch"], &job["state"]["version"]), (&job["epoch"], &job["version"]));
    }
    assert_eq!(pending, newest);
    jobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_describes_all_of_a_change() {
    let redis = Redis::start();
    let sessions = sessions(&redis.url(), 1);
    sessions.create(sessions.arrive(id(1)), new_session(1, 60_000)).await.expect("the id is free");
    for command in [Command::Start, SWITCH, Command::Pause] {
        ask(&sessions, 1, command).await.expect("it fits");
    }
    assert!(ask(&sessions, 1, SWITCH).await.is_err(), "what is refused makes no job");
    ask(&sessions, 1, Command::Delete).await.expect("everything can be deleted");
    let jobs = queued(&redis, "");
    let told: Vec<_> = jobs.iter().map(|job| (job["event_type"].as_str(), job["version"].as_u64())).collect();
    let expected = ["session_created", "session_started", "cycle_switched", "session_paused", "session_deleted"];
    let expected: Vec<_> = expected.into_iter().zip(1..).map(|(name, version)| (Some(name), Some(version))).collect();
    assert_eq!(told, expected);
    let switched = &jobs[2];
    assert_eq!(switched["participant_id"], id(0).to_string());
    assert_eq!(switched["cycle_number"], 1);
    assert_eq!(switched["events"][0]["to_participant_id"], id(1).to_string());
    assert_eq!(switched["state"]["status"], "running");
    let (remaining, elapsed) = (&switched["time_remaining_ms"], &switched["time_elapsed_ms"]);
    assert_eq!(remaining.as_u64().zip(elapsed.as_u64()).map(|(left, used)| left + used), Some(60_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_change_has_its_job_though_connections_break() {
    const SESSIONS: u64 = 12;
    const EACH: u64 = 40;
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let instances = [sessions(&proxy.url(), 4), sessions(&redis.url(), 4)];
    // What a server is asked at first is not what is to be cut.
    assert!(matches!(instances[0].read(id(0)).await, Err(Failure::Refused(..))), "it answers");
    let mut tasks = JoinSet::new();
    for client in 0..2 * SESSIONS {
        let (n, sessions) = (client % SESSIONS, instances[(client / SESSIONS) as usize].clone());
        tasks.spawn(async move {
            if client < SESSIONS {
                let created = sessions.create(sessions.arrive(id(n)), new_session(n, 3_600_000)).await;
                created.expect("the id is free");
                ask(&sessions, n, Command::Start).await.expect("it fits");
            }
            let (mut made, mut unknown) = (0, 0);
            for _ in 0..EACH {
                match ask(&sessions, n, SWITCH).await {
                    Ok(()) => made += 1,
                    Err(Failure::Store(StoreError::UnknownOutcome)) => unknown += 1,
                    Err(_) => {}
                }
            }
            (n, made, unknown)
        });
    }
    proxy.cut_at_exec(8);
    let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    while let Some(task) = tasks.join_next().await {
        let (n, made, unknown) = task.expect("the client ends well");
        let sum = expected.entry(id(n).to_string()).or_default();
        *sum = (sum.0 + made, sum.1 + unknown);
    }
    assert!(proxy.cuts_done() > 0, "there were faults");
    let jobs: Vec<_> = (0..4).flat_map(|part| queued(&redis, &format!("{{p00{part}}}:"))).collect();
    for (session, (made, unknown)) in expected {
        let mut versions: Vec<_> = jobs.iter().filter(|job| job["session_id"] == session.as_str()).collect();
        versions.sort_unstable_by_key(|job| job["version"].as_u64());
        let versions: Vec<_> = versions.iter().filter_map(|job| job["version"].as_u64()).collect();
        let count = versions.len() as u64;
        assert_eq!(versions, (1..=count).collect::<Vec<_>>(), "{session}: a job for each version");
        assert!((made + 2..=made + 2 + unknown).contains(&count), "{session}: {count} jobs, {made} made");
        let read = instances[0].read(session_id(&session)).await.expect("it is there");
        assert_eq!(read.snapshot.tag.version, count, "{session}");
    }
}

fn session_id(text: &str) -> SessionId {
    SessionId(Uuid::parse(text).expect("an id"))
}
