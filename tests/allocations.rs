//! How often a request makes the server ask the heap for memory, and for how much. A program of its own, since an
//! allocator counts for all of a program: server and client share it, and the client asks for nothing while
//! it is counted. Times say how fast a machine is; these figures are the same on every one.
//!
//!     cargo test --release --test allocations -- --nocapture

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use synckairos::config::Config;
use synckairos::serve;
use test_support::redis::Redis;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests of each kind; enough that what grows by doubling and what runs by itself does not count.
const REQUESTS: usize = 2_000;

/// A kind of request and what one of them may cost.
struct Row {
    work: &'static str,
    allocations_max: f64,
    bytes_max: f64,
}

const IN_MEMORY: [Row; 3] = [
    Row { work: "GET", allocations_max: 5.5, bytes_max: 950.0 },
    Row { work: "switch", allocations_max: 15.0, bytes_max: 4_500.0 },
    Row { work: "create", allocations_max: 23.0, bytes_max: 5_200.0 },
];

/// Each alone, so that what requests share who wait at the same moment is counted for one.
const REDIS: [Row; 3] = [
    Row { work: "GET, Redis", allocations_max: 16.0, bytes_max: 3_000.0 },
    Row { work: "switch, Redis", allocations_max: 47.0, bytes_max: 18_500.0 },
    Row { work: "create, Redis", allocations_max: 49.0, bytes_max: 19_000.0 },
];

#[test]
fn a_request_asks_the_heap_for_little() {
    let redis = Redis::start();
    println!("| work | allocations | bytes |\n|---|---|---|");
    count(&[], &IN_MEMORY);
    count(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")], &REDIS);
}

/// What each kind of request costs a server with these settings.
fn count(settings: &[(&str, &str)], rows: &[Row]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let running = runtime.block_on(serve::start(config(settings))).expect("a port is free");
    let mut client = Client::open(running.address().tcp().expect("it listens at an address"));
    client.wait();

    let create: Vec<_> = (0..2 * REQUESTS).map(creation).collect();
    let of_each = |request: fn(usize) -> Vec<u8>| (0..REQUESTS).map(request).collect::<Vec<_>>();
    let start = of_each(|n| request("POST", &format!("/v1/sessions/{}/start", id(n)), ""));
    let switch = of_each(|n| request("POST", &format!("/v1/sessions/{}/switch", id(n)), ""));
    let get = of_each(|n| request("GET", &format!("/v1/sessions/{}", id(n)), ""));
    client.ask_all(&create[..REQUESTS], "201");
    client.ask_all(&start, "200");

    for (row, (warm, counted, status)) in rows.iter().zip([
        (Some(&get), &get[..], "200"),
        (Some(&switch), &switch, "200"),
        // A session is created once; the first half has warmed up.
        (None, &create[REQUESTS..], "201"),
    ]) {
        if let Some(warm) = warm {
            client.ask_all(warm, status);
        }
        let region = Region::new(HEAP);
        client.ask_all(counted, status);
        let change = region.change();
        let each = |count: usize| count as f64 / REQUESTS as f64;
        let (allocations, bytes) = (each(change.allocations + change.reallocations), each(change.bytes_allocated));
        let Row { work, allocations_max, bytes_max } = row;
        println!("| {work} | {allocations:.1} | {bytes:.0} |");
        assert!(allocations <= *allocations_max, "{work}: {allocations} allocations, at most {allocations_max}");
        assert!(bytes <= *bytes_max, "{work}: {bytes} bytes, at most {bytes_max}");
    }
    drop(client);
    assert!(runtime.block_on(running.stop()));
}

fn config(more: &[(&str, &str)]) -> Config {
    let settings =
        [&[("HOST", "127.0.0.1"), ("PORT", "0"), ("RATE_LIMIT_SWITCH", "0"), ("ALLOWED_HOSTS", "*")], more].concat();
    let given = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::read(given).expect("the settings are valid")
}

fn id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let len = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{len}\r\n{body}").into_bytes()
}

/// A session of two participants with an hour each.
fn creation(n: usize) -> Vec<u8> {
    let participant = |index| {
        format!(
            r#"{{"participant_id":"11111111-1111-4111-8111-{index:012}","participant_index":{index},"total_time_ms":3600000}}"#
        )
    };
    let body = format!(
        r#"{{"session_id":"{}","sync_mode":"per_participant","total_time_ms":7200000,"participants":[{},{}]}}"#,
        id(n),
        participant(0),
        participant(1)
    );
    request("POST", "/v1/sessions", &body)
}

/// A connection whose memory was asked for beforehand.
struct Client {
    tcp: TcpStream,
    read: Box<[u8]>,
}

impl Client {
    fn open(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).expect("the server listens");
        tcp.set_nodelay(true).expect("the socket is open");
        Self { tcp, read: vec![0; 16_384].into() }
    }

    /// Waits until the server is ready.
    fn wait(&mut self) {
        let ready = request("GET", "/ready", "");
        let start = Instant::now();
        loop {
            self.tcp.write_all(&ready).expect("the server reads");
            if self.answer().get(9..12) == Some(b"200") {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "the server does not get ready");
        }
    }

    /// Sends requests one after the other; each must be answered with `status`.
    fn ask_all(&mut self, requests: &[Vec<u8>], status: &str) {
        for request in requests {
            self.tcp.write_all(request).expect("the server reads");
            let answer = self.answer();
            assert_eq!(answer.get(9..12), Some(status.as_bytes()), "{}", String::from_utf8_lossy(answer));
        }
    }

    fn answer(&mut self) -> &[u8] {
        let mut len = 0;
        loop {
            let read = self.tcp.read(&mut self.read[len..]).expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            len += read;
            if whole_len(&self.read[..len]) == Some(len) {
                return &self.read[..len];
            }
        }
    }
}

/// How long an answer is whose head is there.
fn whole_len(answer: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let length = answer[..head].windows(LENGTH.len()).position(|window| window == LENGTH)? + LENGTH.len();
    let digits = answer[length..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
