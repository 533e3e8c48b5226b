//! The load generator's own logic, where it could be wrong and nobody would notice: what it counts must be what happened, and
//! a wrong answer must not pass.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::servers::spawned::Spawned;

use super::drive::{Crew, Errand};
use super::errands::{Bare, Create, Make, Read, Step};
use super::failure::{Failure, Result};
use super::http::{Client, request};
use super::pace::Pace;
use super::sample::{Sample, Shared};
use super::sessions::{LONG_MS, Numbers, Sessions};
use super::socket::Socket;
use super::switches::{Switch, SwitchOverSocket, SwitchTogether};
use super::watch::{Topics, watch};

/// A server that keeps sessions in memory.
fn server() -> Spawned {
    Spawned::synckairos(&[]).expect("the server starts")
}

/// Asks for something as somebody else, and returns what was answered.
async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut client = Client::open(address).await.expect("the server accepts");
    let answer = client.ask(&request(method, path, "")).await.expect("the server answers");
    assert_eq!(answer.status, 200, "{method} {path}");
    String::from_utf8(answer.body.to_vec()).expect("it is text")
}

/// A server that answers every request on every connection with what a function makes of the request's number, after
/// waiting as long as it says.
async fn answering(answer: impl Fn(u64) -> (Duration, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (answer, count) = (Arc::new(answer), Arc::new(AtomicU64::new(0)));
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            tokio::spawn(async move {
                let mut read = Vec::new();
                while tcp.read_buf(&mut read).await.is_ok_and(|len| len > 0) {
                    // The generator waits for each answer, and sends each request at once.
                    read.clear();
                    let (pause, body) = answer(count.fetch_add(1, Ordering::SeqCst));
                    tokio::time::sleep(pause).await;
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    let _ = tcp.write_all(format!("{head}{body}").as_bytes()).await;
                }
            });
        }
    });
    address
}

async fn work(address: SocketAddr, pace: Pace, errands: Vec<Box<dyn Errand>>) -> Result<Shared> {
    let sample = Sample::shared();
    Crew::new(&[address], errands).work(pace, &sample).await?;
    Ok(sample)
}

/// Sessions that are created and started.
async fn sessions(address: SocketAddr, count: usize) -> Arc<Sessions> {
    let sessions = Numbers::new().take(count);
    for step in [Step::Create(Arc::new(|_| LONG_MS / 2)), Step::Start] {
        let errands = Make::boxed(&sessions, 0, &step, 4);
        work(address, Pace::Count(count as u64), errands).await.expect("they are made");
    }
    sessions
}

fn why(outcome: Result<Shared>) -> String {
    match outcome {
        Err(Failure::Wrong(why)) => why,
        Err(Failure::Broken(error)) => panic!("broken, not wrong: {error}"),
        Ok(_) => panic!("a wrong answer passed"),
    }
}

fn is_slow(slow: Duration, sample: &Shared) -> (u64, u64) {
    let sample = sample.lock();
    let slow_ns = slow.as_nanos() as u64;
    let count = |all: &hdrhistogram::Histogram<u64>| all.count_between(slow_ns, u64::MAX / 2);
    (count(&sample.latency_ns), count(&sample.service_ns))
}

/// A server that stalls for a second makes all wait that were to be answered in that second, although only one request
/// for each connection was sent: whoever counts from sending sees a handful (coordinated omission).
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
    let errands = (0..4).map(|_| Bare::boxed()).collect();
    let pace = Pace::Open(200.0, Duration::from_secs(2));
    let sample = work(address, pace, errands).await.expect("all answers are right");
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
    let sample = work(address, pace, vec![Bare::boxed()]).await.expect("all answers are right");
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
    let connections = |errand: &dyn Fn(&[usize]) -> Box<dyn Errand>| shares.iter().map(|share| errand(share)).collect();
    let numbers = Numbers::new();
    for errands in [
        connections(&|share| Read::boxed(&all, share)),
        connections(&|share| Switch::boxed(&all, share, None)),
        connections(&|share| Read::boxed(&all, share)),
        connections(&|_| Create::boxed(&numbers)),
        connections(&|share| SwitchOverSocket::boxed(&all, share[0])),
        connections(&|share| Read::boxed(&all, share)),
    ] {
        // More than are read in full.
        let sample = work(address, Pace::Count(200), errands).await.expect("all answers are right");
        assert_eq!(sample.lock().done(), 200);
    }
    let (errands, given) = SwitchTogether::boxed(&sessions(address, 1).await.id(0), 5);
    work(address, Pace::Count(200), errands).await.expect("all answers are right");
    assert!(given.lock().is_whole());
}

#[tokio::test]
async fn a_version_that_somebody_else_made_is_found() {
    let server = server();
    let all = sessions(server.address, 3).await;
    let mut errands = vec![Switch::boxed(&all, &[0, 1, 2], None)];
    work(server.address, Pace::Count(9), errands).await.expect("nobody else is there");
    ask(server.address, "POST", &format!("/v1/sessions/{}/switch", all.id(1))).await;
    errands = vec![Read::boxed(&all, &[0, 1, 2])];
    let said = why(work(server.address, Pace::Count(3), errands).await);
    assert!(said.contains(&format!("{}, version 5: another version", all.id(1))), "{said}");
    errands = vec![Switch::boxed(&all, &[2, 1], None)];
    let said = why(work(server.address, Pace::Count(3), errands).await);
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
    let (errands, _) = SwitchTogether::boxed(&all.id(0), 2);
    let said = why(work(address, Pace::Count(10), errands).await);
    assert!(said.contains("is given twice or too late"), "{said}");
}

#[tokio::test]
async fn every_change_is_seen_by_everybody() {
    const WATCHERS: usize = 3;
    let server = server();
    let all = sessions(server.address, 2).await;
    let topics = Topics::new(&all, WATCHERS);
    let mut watchers = JoinSet::new();
    for place in (0..2 * WATCHERS).map(|number| number % 2) {
        let socket = Socket::open(server.address, &all.id(place)).await.expect("the server shakes hands");
        watchers.spawn(watch(socket, Arc::clone(&all), Arc::clone(&topics), place));
    }
    let [each, together] = [Sample::shared(), Sample::shared()];
    topics.begin([Arc::clone(&each), Arc::clone(&together)]);
    let errands = vec![Switch::boxed(&all, &[0, 1], Some(&topics))];
    work(server.address, Pace::Count(50), errands).await.expect("all answers are right");
    topics.seen().await.expect("all have seen all");
    assert_eq!((each.lock().done(), together.lock().done()), (50 * WATCHERS as u64, 50));
    // A change that was not announced.
    ask(server.address, "POST", &format!("/v1/sessions/{}/switch", all.id(1))).await;
    let ended = watchers.join_next().await.expect("some watch").expect("it does not panic");
    assert!(ended.to_string().contains("a version that nobody has made"), "{ended}");
}
