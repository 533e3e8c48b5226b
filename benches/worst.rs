//! What the worst of each kind of request costs: a server, a client that sends what takes longest, and the CPU that the
//! server's threads spent on each request. Bodies of 16 KB and of 1 MiB, accepted and refused.
//!
//!     cargo bench --bench worst

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use synckairos::config::Config;
use synckairos::serve;

/// Requests of each kind.
const REQUESTS: usize = 20;
const KB_16: usize = 16_000;
/// A little less, so that the whole body is taken.
const MIB: usize = (1 << 20) - 64;
/// What the server's threads are called.
const THREAD: &str = "served";

fn main() {
    // `cargo bench -- --test` and `cargo test --benches` only want to know whether it works.
    let requests = if std::env::args().any(|argument| argument == "--test") { 1 } else { REQUESTS };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(THREAD).enable_all().build();
    let runtime = runtime.expect("there are threads");
    let directory = Directory::new();
    let config = config(&directory.0);
    let running = runtime.block_on(async { tokio::spawn(serve::start(config)).await });
    let running = running.expect("it does not panic").expect("a port is free");
    let address = running.address().tcp().expect("it listens at an address");
    let mut bench = Bench { client: Client::open(address), address, requests, sessions: 0 };
    println!("| request | status | request, bytes | answer, bytes | CPU, ms |\n|---|---|---|---|---|");
    bench.create();
    bench.patch();
    bench.change();
    bench.read();
    bench.websocket();
    drop(bench);
    runtime.block_on(async { tokio::spawn(running.stop()).await }).expect("it does not panic");
}

fn config(data_dir: &std::path::Path) -> Config {
    let data_dir = data_dir.to_str().expect("it is text");
    let settings = [("HOST", "127.0.0.1"), ("PORT", "0"), ("RATE_LIMIT_SWITCH", "0"), ("DATA_DIR", data_dir)];
    let given = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::read(given).expect("the settings are valid")
}

/// A directory of this run's own.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("synckairos-worst-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("there is room");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Bench {
    client: Client,
    address: SocketAddr,
    requests: usize,
    sessions: u64,
}

impl Bench {
    /// Sends a request some times, and prints what one of them cost.
    fn measure(&mut self, name: &str, mut request: impl FnMut(&mut Self) -> Vec<u8>) {
        let (mut cpu_ns, mut sent, mut answer) = (0, 0, Answer::default());
        for _ in 0..self.requests {
            let request = request(self);
            let before = cpu_of_server();
            answer = self.client.ask(&request);
            cpu_ns += cpu_of_server() - before;
            sent = request.len();
        }
        row(name, &answer.status, sent, answer.len, cpu_ns, self.requests);
    }

    fn create(&mut self) {
        for (size, len) in [("16 KB", KB_16), ("1 MiB", MIB)] {
            for (what, fields) in fillers(len - 2_000) {
                self.measure(&format!("create, {size}, {what}"), |bench| {
                    bench.sessions += 1;
                    post("/v1/sessions", &session(bench.sessions, 2, "per_participant", &format!(",{fields}")))
                });
            }
        }
        for mode in ["per_participant", "per_group"] {
            self.measure(&format!("create, 1,000 participants, {mode}"), |bench| {
                bench.sessions += 1;
                post("/v1/sessions", &session(bench.sessions, 1_000, mode, ""))
            });
        }
        let number = format!("1e0,\"participant_index\":2.4703282292062327208299439634110e-324{}", "1".repeat(300));
        for (what, participant) in [
            ("numbers that round with difficulty", format!("{{\"total_time_ms\":{number}}}")),
            ("nothing right", "0".to_owned()),
        ] {
            let participants = vec![participant; 1_000].join(",");
            self.measure(&format!("create, refused, {what}"), |_| {
                post("/v1/sessions", &format!("{{\"participants\":[{participants}]}}"))
            });
        }
        for (what, metadata) in metadata() {
            self.measure(&format!("create, metadata, {what}"), |bench| {
                bench.sessions += 1;
                post("/v1/sessions", &session(bench.sessions, 2, "global", &format!(",\"metadata\":{metadata}")))
            });
        }
    }

    fn patch(&mut self) {
        let repeated = format!("{{{}}}", vec![r#""":{}"#; 680].join(","));
        let named = format!("{{{}}}", (0..390).map(|n| format!(r#""{n:x}":{{}}"#)).collect::<Vec<_>>().join(","));
        let targets = [("names that repeat", repeated), ("many names", named)];
        for (target, old) in &targets {
            let name = self.session(2, "global", &format!(",\"metadata\":{old}"));
            for (what, change) in metadata() {
                self.measure(&format!("PATCH, {target} with {what}"), |_| {
                    request("PATCH", &format!("/v1/sessions/{name}"), &format!("{{\"metadata\":{change}}}"))
                });
            }
        }
        let name = self.session(1_000, "per_participant", "");
        for (size, len) in [("16 KB", KB_16), ("1 MiB", MIB)] {
            for (what, fields) in fillers(len) {
                self.measure(&format!("PATCH, {size}, {what}"), |_| {
                    request("PATCH", &format!("/v1/sessions/{name}"), &format!("{{{fields}}}"))
                });
            }
        }
    }

    fn change(&mut self) {
        for (size, len) in [("16 KB", KB_16), ("1 MiB", MIB)] {
            let fields = fillers(len).remove(0).1;
            for mode in ["per_participant", "per_group", "per_cycle"] {
                let mut started = String::new();
                self.measure(&format!("start, 1,000 participants, {mode}, {size}"), |bench| {
                    started = bench.session(1_000, mode, "");
                    post(&format!("/v1/sessions/{started}/start"), &format!("{{{fields}}}"))
                });
                self.measure(&format!("switch, 1,000 participants, {mode}, {size}"), |_| {
                    post(&format!("/v1/sessions/{started}/switch"), &format!("{{{fields}}}"))
                });
            }
        }
    }

    fn read(&mut self) {
        let name = self.session(1_000, "per_group", "");
        for _ in 0..5 {
            self.client.ask(&request("PATCH", &format!("/v1/sessions/{name}"), r#"{"increment_ms":1}"#));
            self.client.ask(&request("PATCH", &format!("/v1/sessions/{name}"), r#"{"increment_ms":2}"#));
        }
        let query = format!("limit=200&{}", "&%61%66ter=%31".repeat(900));
        self.measure("events, of a large session", |_| {
            request("GET", &format!("/v1/sessions/{name}/events?{query}"), "")
        });
        self.measure("GET, of a large session", |_| request("GET", &format!("/v1/sessions/{name}"), ""));
        let tags = format!("If-Match: {}\r\n", vec!["\"1.1\""; 2_000].join(","));
        self.measure("PATCH, a long If-Match", |_| {
            let whole = String::from_utf8(request("PATCH", &format!("/v1/sessions/{name}"), "{}")).expect("text");
            whole.replacen("\r\n", &format!("\r\n{tags}"), 1).into_bytes()
        });
    }

    fn websocket(&mut self) {
        let name = self.session(1_000, "per_group", "");
        let messages = [
            ("RECONNECT", r#"{"type":"RECONNECT"}"#.to_owned()),
            ("RECONNECT, 16 KB", format!(r#"{{"type":"RECONNECT",{}}}"#, fillers(KB_16 - 100).remove(0).1)),
            ("PING, 16 KB", format!(r#"{{"type":"PING","timestamp":{}}}"#, "1".repeat(KB_16))),
            ("SWITCH, 16 KB", format!(r#"{{"type":"SWITCH","request_id":"r",{}}}"#, fillers(KB_16 - 100).remove(1).1)),
            ("what is no JSON, 16 KB", format!("{}1", "[".repeat(KB_16))),
        ];
        let mut increment_ms = 0;
        for (what, message) in messages {
            let mut client = Client::open(self.address);
            let key = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            client.send(format!("GET /ws?sessionId={name} HTTP/1.1\r\nHost: localhost\r\n{key}\r\n").as_bytes());
            client.until(b"STATE_SYNC");
            // A state that has changed is told at once to a client that asks for it again.
            increment_ms += 1;
            let change = format!(r#"{{"increment_ms":{increment_ms}}}"#);
            self.client.ask(&request("PATCH", &format!("/v1/sessions/{name}"), &change));
            client.drain();
            let (before, start) = (cpu_of_server(), client.read);
            client.send(&frame(message.as_bytes()));
            client.take_frame();
            row(&format!("WebSocket, {what}"), "", message.len(), client.read - start, cpu_of_server() - before, 1);
        }
    }

    fn session(&mut self, participants: usize, mode: &str, more: &str) -> String {
        self.sessions += 1;
        let answer = self.client.ask(&post("/v1/sessions", &session(self.sessions, participants, mode, more)));
        assert_eq!(answer.status, "201");
        id(self.sessions)
    }
}

fn row(name: &str, status: &str, sent: usize, answered: usize, cpu_ns: u64, requests: usize) {
    println!("| {name} | {status} | {sent} | {answered} | {:.2} |", cpu_ns as f64 / requests as f64 / 1e6);
}

/// Fields that nobody asked for, so many bytes of them: each is of another kind that a reader may find hard.
fn fillers(len: usize) -> Vec<(&'static str, String)> {
    let list = |piece: &str| vec![piece; len / (piece.len() + 1)].join(",");
    vec![
        ("short members", list(r#""":0"#)),
        ("escaped names", list(r#""\u0074\u0079\u0070":0"#)),
        ("names of fields", list(r#""expected_version":1"#)),
        ("a list", format!(r#""x":[{}]"#, list("0"))),
        ("nested lists", format!(r#""x":{}{}"#, "[".repeat(len / 2), "]".repeat(len / 2))),
        ("nested objects", format!(r#""x":{}0{}"#, r#"{"":"#.repeat(len / 5), "}".repeat(len / 5))),
        ("space", format!(r#""x":{}0"#, " ".repeat(len))),
        ("escapes", format!(r#""x":"{}""#, r"\u00e9".repeat(len / 6))),
        ("too many thresholds", format!(r#""warn_at_ms":[{}]"#, list("1"))),
        ("a long number", format!(r#""increment_ms":{}"#, "9".repeat(len))),
    ]
}

/// Metadata, and changes of it.
fn metadata() -> Vec<(&'static str, String)> {
    let members =
        |count: usize, value: &str| (0..count).map(|n| format!(r#""{n:x}":{value}"#)).collect::<Vec<_>>().join(",");
    let nested = |inside: &str| format!("{}{{{inside}}}{}", r#"{"":"#.repeat(90), "}".repeat(90));
    vec![
        ("2,040 names", format!("{{{}}}", members(2_040, "1"))),
        ("one name 2,700 times", format!("{{{}}}", vec![r#""":{}"#; 2_700].join(","))),
        ("names at depth 90", nested(&members(400, r#"{"a":1,"a":2}"#))),
        ("names that repeat at each depth", format!("{}1{}", r#"{"":0,"":"#.repeat(99), r#","":1}"#.repeat(99))),
        (
            "numbers that round with difficulty",
            format!(r#"{{"a":[{}]}}"#, vec!["2.4703282292062327208299439634110e-308"; 100].join(",")),
        ),
        ("escapes", format!(r#"{{"a":"{}"}}"#, r"\u00e9".repeat(2_000))),
    ]
}

fn session(n: u64, participants: usize, mode: &str, more: &str) -> String {
    let mut body =
        format!(r#"{{"session_id":"{}","sync_mode":"{mode}","total_time_ms":7200000,"participants":["#, id(n));
    for place in 0..participants {
        let comma = if place > 0 { "," } else { "" };
        let group = if mode == "per_group" {
            format!(r#","group_id":"22222222-2222-4222-8222-{place:012x}""#)
        } else {
            String::new()
        };
        write!(
            body,
            r#"{comma}{{"participant_id":"11111111-1111-4111-8111-{place:012x}","participant_index":{place},"total_time_ms":3600000{group}}}"#
        )
        .expect("writing to memory does not fail");
    }
    body + "]" + more + "}"
}

fn id(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

fn post(path: &str, body: &str) -> Vec<u8> {
    request("POST", path, body)
}

fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A text frame of a client, masked with zeros.
fn frame(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend_from_slice(&u16::try_from(text.len()).expect("it is short").to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text);
    frame
}

/// What the server's threads have spent, in nanoseconds (proc(5), schedstat).
fn cpu_of_server() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this is Linux").filter_map(Result::ok);
    let is_server = |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == THREAD);
    let spent =
        |path: PathBuf| std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
    tasks.map(|task| task.path()).filter(is_server).filter_map(spent).sum()
}

#[derive(Default)]
struct Answer {
    status: String,
    len: usize,
}

struct Client {
    tcp: TcpStream,
    buffer: Vec<u8>,
    /// Bytes that came so far.
    read: usize,
}

impl Client {
    fn open(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).expect("the server listens");
        tcp.set_nodelay(true).expect("the socket is open");
        Self { tcp, buffer: Vec::new(), read: 0 }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).expect("the server reads");
    }

    fn receive(&mut self) {
        let mut piece = [0; 65_536];
        let len = self.tcp.read(&mut piece).expect("the server answers");
        assert!(len > 0, "the server closed the connection");
        self.read += len;
        self.buffer.extend_from_slice(&piece[..len]);
    }

    /// Waits until these bytes have come.
    fn until(&mut self, text: &[u8]) {
        while !self.buffer.windows(text.len()).any(|window| window == text) {
            self.receive();
        }
    }

    /// Takes one frame, which must be the next that comes.
    fn take_frame(&mut self) {
        loop {
            let len = match self.buffer.get(1) {
                Some(127) => self
                    .buffer
                    .get(2..10)
                    .map(|len| 10 + u64::from_be_bytes(len.try_into().expect("they are eight bytes")) as usize),
                Some(126) => self
                    .buffer
                    .get(2..4)
                    .map(|len| 4 + usize::from(u16::from_be_bytes(len.try_into().expect("they are two bytes")))),
                Some(&len) => Some(2 + usize::from(len)),
                None => None,
            };
            if len.is_some_and(|len| self.buffer.len() >= len) {
                return self.buffer.clear();
            }
            self.receive();
        }
    }

    /// Takes what has come, until nothing more does for a while.
    fn drain(&mut self) {
        self.tcp.set_read_timeout(Some(std::time::Duration::from_millis(200))).expect("the socket is open");
        let mut piece = [0; 65_536];
        while let Ok(len @ 1..) = self.tcp.read(&mut piece) {
            self.read += len;
        }
        self.buffer.clear();
        self.tcp.set_read_timeout(None).expect("the socket is open");
    }

    fn ask(&mut self, request: &[u8]) -> Answer {
        self.send(request);
        loop {
            let text = String::from_utf8_lossy(&self.buffer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.to_ascii_lowercase();
                let length = length
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
                if body.len() >= length.unwrap_or_default() {
                    let answer = Answer { status: head[9..12].to_owned(), len: text.len() };
                    self.buffer.clear();
                    return answer;
                }
            }
            self.receive();
        }
    }
}
