//! Tests of the generator's own logic, where a fault would go unnoticed: it records what happened, and no wrong response passes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::servers::server_process::ServerProcess;

use super::failure::{Failure, Result};
use super::http::{Client, request};
use super::pace::Pace;
use super::sample::{Sample, SharedSample};
use super::sessions::{LONG_MS, SessionIds, Sessions};
use super::socket::Socket;
use super::switches::{Switch, SwitchOverSocket, SwitchTogether};
use super::watchers::{UpdateTracker, watch};
use super::worker_pool::WorkerPool;
use super::workload::{Bare, Create, Read, Setup, SetupStep, Workload};

/// A server that keeps sessions in memory.
fn server() -> ServerProcess {
    ServerProcess::synckairos(&[]).expect("the server starts")
}

/// Asks for something over a connection of its own, and returns the response.
async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut client = Client::open(address).await.expect("the server accepts");
    let response = client.ask(&request(method, path, "")).await.expect("the server answers");
    assert_eq!(response.status, 200, "{method} {path}");
    String::from_utf8(response.body.to_vec()).expect("it is text")
}

/// A server that responses every request on every connection with what a function makes of the request's number, after
/// waiting as long as it says.
async fn answering(response: impl Fn(u64) -> (Duration, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (response, count) = (Arc::new(response), Arc::new(AtomicU64::new(0)));
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let (response, count) = (Arc::clone(&response), Arc::clone(&count));
            tokio::spawn(async move {
                let mut read = Vec::new();
                while tcp.read_buf(&mut read).await.is_ok_and(|len| len > 0) {
                    // The generator waits for each response, and sends each request at once.
                    read.clear();
                    let (pause, body) = response(count.fetch_add(1, Ordering::SeqCst));
                    tokio::time::sleep(pause).await;
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    let _ = tcp.write_all(format!("{head}{body}").as_bytes()).await;
                }
            });
        }
    });
    address
}

async fn work(address: SocketAddr, pace: Pace, workloads: Vec<Box<dyn Workload>>) -> Result<SharedSample> {
    let sample = Sample::shared();
    WorkerPool::new(&[address], workloads).work(pace, &sample).await?;
    Ok(sample)
}

/// Sessions that are created and started.
async fn sessions(address: SocketAddr, count: usize) -> Arc<Sessions> {
    let sessions = SessionIds::new().take(count);
    for step in [SetupStep::Create(Arc::new(|_| LONG_MS / 2)), SetupStep::Start] {
        let workloads = Setup::boxed(&sessions, 0, &step, 4);
        work(address, Pace::Count(count as u64), workloads).await.expect("they are made");
    }
    sessions
}

fn why(outcome: Result<SharedSample>) -> String {
    match outcome {
        Err(Failure::Wrong(why)) => why,
        Err(Failure::Broken(error)) => panic!("broken, not wrong: {error}"),
        Ok(_) => panic!("a wrong response passed"),
    }
}

fn is_slow(slow: Duration, sample: &SharedSample) -> (u64, u64) {
    let sample = sample.lock();
    let slow_ns = slow.as_nanos() as u64;
    let count = |all: &hdrhistogram::Histogram<u64>| all.count_between(slow_ns, u64::MAX / 2);
    (count(&sample.latency_ns), count(&sample.service_ns))
}

/// A server that stalls for a second makes all wait that were to be answered in that second, although only one request
/// for each connection was sent: a generator that counts from sending sees a handful (coordinated omission).
#[tokio::test]
async fn a_stall_is_seen_by_all_who_would_have_come() {
    const STALL: Duration = Duration::from_secs(1);
    let stalled: parking_lot::Mutex<Option<Instant>> = parking_lot::Mutex::default();
    let address = answering(move |number| {
        let mut stalled = stalled.lock();
        if number == 100 {
            *stalled = Some(Instant::now() + STALL);
        }
        let pause = stalled.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        (pause, "x".repeat(900))
    })
    .await;
    let workloads = (0..4).map(|_| Bare::boxed()).collect();
    let pace = Pace::Open(200.0, Duration::from_secs(2));
    let sample = work(address, pace, workloads).await.expect("all responses are right");
    assert_eq!(sample.lock().latency_ns.len(), 400, "each that was to be sent is counted");
    let (from_intended, from_sent) = is_slow(STALL / 2, &sample);
    // Half of those that were to be sent during the stall wait for half of it or more.
    assert!(from_intended >= 90, "{from_intended} have waited");
    assert!(
        from_sent < from_intended,
        "{from_sent} were slow from sending, {from_intended} from when they were to be sent"
    );
}

#[tokio::test]
async fn what_is_never_sent_is_counted_as_waiting() {
    let address = answering(|_| (Duration::from_secs(12), "x".repeat(900))).await;
    let pace = Pace::Open(10.0, Duration::from_secs(1));
    let sample = work(address, pace, vec![Bare::boxed()]).await.expect("all responses are right");
    let unsent = sample.lock().unsent;
    assert_eq!((sample.lock().done(), unsent), (1, 9), "the first took longer than anybody waits");
    assert_eq!(is_slow(Duration::from_secs(10), &sample).0, 10);
}

#[tokio::test]
async fn right_answers_pass() {
    let server = server();
    let address = server.address;
    let all = sessions(address, 10).await;
    let shares = all.shares(3);
    let connections =
        |workload: &dyn Fn(&[usize]) -> Box<dyn Workload>| shares.iter().map(|share| workload(share)).collect();
    let session_ids = SessionIds::new();
    for workloads in [
        connections(&|share| Read::boxed(&all, share)),
        connections(&|share| Switch::boxed(&all, share, None)),
        connections(&|share| Read::boxed(&all, share)),
        connections(&|_| Create::boxed(&session_ids)),
        connections(&|share| SwitchOverSocket::boxed(&all, share[0])),
        connections(&|share| Read::boxed(&all, share)),
    ] {
        // More than are read in full.
        let sample = work(address, Pace::Count(200), workloads).await.expect("all responses are right");
        assert_eq!(sample.lock().done(), 200);
    }
    let (workloads, given) = SwitchTogether::boxed(&sessions(address, 1).await.id(0), 5);
    work(address, Pace::Count(200), workloads).await.expect("all responses are right");
    assert!(given.lock().is_whole());
}

#[tokio::test]
async fn a_version_that_somebody_else_made_is_found() {
    let server = server();
    let all = sessions(server.address, 3).await;
    let mut workloads = vec![Switch::boxed(&all, &[0, 1, 2], None)];
    work(server.address, Pace::Count(9), workloads).await.expect("nobody else is there");
    ask(server.address, "POST", &format!("/v1/sessions/{}/switch", all.id(1))).await;
    workloads = vec![Read::boxed(&all, &[0, 1, 2])];
    let said = why(work(server.address, Pace::Count(3), workloads).await);
    assert!(said.contains(&format!("{}, version 5: another version", all.id(1))), "{said}");
    workloads = vec![Switch::boxed(&all, &[2, 1], None)];
    let said = why(work(server.address, Pace::Count(3), workloads).await);
    assert!(said.contains(&format!("{}, version 6: another version", all.id(1))), "{said}");
}

#[tokio::test]
async fn what_only_reading_in_full_finds_is_found() {
    let server = server();
    let all = sessions(server.address, 1).await;
    let right = ask(server.address, "GET", &format!("/v1/sessions/{}", all.id(0))).await;
    let wrong = right.replacen("\"time_used_ms\":0", "\"time_used_ms\":5", 1);
    assert_ne!(right, wrong);
    let address = answering(move |number| {
        let body = if number < 10 { &right } else { &wrong };
        (Duration::ZERO, body.clone())
    })
    .await;
    let said = why(work(address, Pace::Count(100), vec![Read::boxed(&all, &[0])]).await);
    assert!(said.contains("time was made or lost"), "{said}");
}

#[tokio::test]
async fn a_version_that_is_given_twice_is_found() {
    let server = server();
    let all = sessions(server.address, 1).await;
    let switch = format!("/v1/sessions/{}/switch", all.id(0));
    let body = ask(server.address, "POST", &switch).await;
    let address = answering(move |_| (Duration::ZERO, body.clone())).await;
    let (workloads, _) = SwitchTogether::boxed(&all.id(0), 2);
    let said = why(work(address, Pace::Count(10), workloads).await);
    assert!(said.contains("is given twice or too late"), "{said}");
}

#[tokio::test]
async fn every_change_is_seen_by_everybody() {
    const WATCHERS: usize = 3;
    let server = server();
    let all = sessions(server.address, 2).await;
    let tracker = UpdateTracker::new(&all, WATCHERS);
    let mut watchers = JoinSet::new();
    for index in (0..2 * WATCHERS).map(|number| number % 2) {
        let socket = Socket::open(server.address, &all.id(index)).await.expect("the server shakes hands");
        watchers.spawn(watch(socket, Arc::clone(&all), Arc::clone(&tracker), index));
    }
    let [each, together] = [Sample::shared(), Sample::shared()];
    tracker.begin([Arc::clone(&each), Arc::clone(&together)]);
    let workloads = vec![Switch::boxed(&all, &[0, 1], Some(&tracker))];
    work(server.address, Pace::Count(50), workloads).await.expect("all responses are right");
    tracker.wait_until_seen().await.expect("all have seen all");
    assert_eq!((each.lock().done(), together.lock().done()), (50 * WATCHERS as u64, 50));
    // A change that was not announced.
    ask(server.address, "POST", &format!("/v1/sessions/{}/switch", all.id(1))).await;
    let ended = watchers.join_next().await.expect("some watch").expect("it does not panic");
    assert!(ended.to_string().contains("a version that nobody has made"), "{ended}");
}
