//! A server whose panics the test chooses, with its log and metrics.

use std::fs;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::directory::Directory;
use crate::http::Connection;
use crate::metrics::value;
use crate::program::Program;
use crate::sessions::two_players;
use crate::wait::until;
use crate::ws::Client;

/// A server, as a process.
pub struct Faulty {
    pub program: Program,
    wanted: Directory,
    log: Arc<Mutex<Vec<Value>>>,
    /// A connection that was there before anything went wrong.
    pub client: Connection,
}

impl Faulty {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let mut faulty = Self::start_with(settings, "").await;
        faulty.is_ready_again().await;
        faulty
    }

    /// One in which these points panic from the start.
    pub async fn start_with(settings: &[(&str, &str)], points: &str) -> Self {
        let wanted = Directory::new();
        fs::write(wanted.path(), points).expect("there is room");
        let own = [
            ("SYNCKAIROS_TEST_PANICS", wanted.text()),
            ("RATE_LIMIT_SWITCH", "0"),
            ("LOG_LEVEL", "info"),
            ("LOG_FORMAT", "json"),
        ];
        let settings: Vec<_> = own.iter().chain(settings).copied().collect();
        let mut program = Program::start(&settings);
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        program.leave_log(move |line| {
            lines.lock().push(serde_json::from_str(line).unwrap_or_else(|_| panic!("not a log line: {line}")));
            false
        });
        Self { client: Connection::open(program.address).await, program, wanted, log }
    }

    /// From now on these points panic, and no others.
    pub fn panics(&self, points: &str) {
        // In one piece: it is read at any time.
        let begun = format!("{}.new", self.wanted.text());
        fs::write(&begun, points).expect("there is room");
        fs::rename(begun, self.wanted.path()).expect("there is room");
    }

    /// How often a task has failed.
    pub async fn failures(&mut self, task: &str) -> f64 {
        let told = self.client.ask("GET", "/metrics", "").await.body;
        value(&told, &format!("synckairos_task_failures_total{{task=\"{task}\"}}"))
    }

    /// A fault of a task was counted, and a line of the log names it and why.
    pub async fn has_told(&mut self, task: &str) {
        let is_place = |line: &Value| line["message"] == "a panic" && line["location"].to_string().contains(".rs:");
        until(&format!("a fault of {task} is counted, and logged with its place"), async || {
            self.failures(task).await >= 1.0 && self.has_said(task) && self.log.lock().iter().any(is_place)
        })
        .await;
    }

    /// A line of the log names a task that has failed, and why.
    pub fn has_said(&self, task: &str) -> bool {
        let is_said = |line: &Value| {
            line["task"] == task && line["level"] == "ERROR" && line["why"].to_string().contains("a test asked")
        };
        self.log.lock().iter().any(is_said)
    }

    /// What `/ready` says.
    pub async fn readiness(&mut self) -> (u16, String) {
        let answer = self.client.ask("GET", "/ready", "").await;
        (answer.status, answer.body)
    }

    /// Waits until nothing is wrong any more.
    pub async fn is_ready_again(&mut self) {
        until("all is well", async || self.readiness().await == (200, r#"{"status":"ready"}"#.to_owned())).await;
    }

    /// Everything that clients do works: on new connections, too, and to whoever watches.
    pub async fn serves(&mut self, id: &str) {
        let mut client = Connection::open(self.program.address).await;
        client.create(&two_players(id, 3_600_000)).await;
        let mut watcher = Client::join(self.program.address, id).await;
        client.post(id, "start", &Value::Null).await;
        client.post(id, "switch", &Value::Null).await;
        assert_eq!(client.read(id).await["version"], 3);
        while watcher.next_of("STATE_UPDATE").await["state"]["version"] != 3 {}
    }

    /// A task that must run for ever fails while `poke` makes it do something: `/ready` names it, and it comes back.
    pub async fn comes_back(&mut self, task: &str, mut poke: impl AsyncFnMut(std::net::SocketAddr)) {
        self.panics(task);
        until(&format!("/ready names {task}"), async || {
            poke(self.program.address).await;
            self.readiness().await.1.contains(&format!(r#"{{"component":"tasks","error":"the task {task} has failed"#))
        })
        .await;
        self.has_told(task).await;
        self.panics("");
        self.is_ready_again().await;
    }
}
