//! The program itself, as a process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread::JoinHandle;

use rustix::fs::OFlags;

use super::planted;
use super::redis::signal;
use super::wait;

/// A process that listens, and is killed when the test ends.
pub struct Program {
    pub child: Child,
    pub address: SocketAddr,
    /// The line of its log that says that it listens.
    pub started: serde_json::Value,
    /// What it said before that.
    early: Vec<String>,
    /// Until somebody else reads it.
    log: Option<BufReader<ChildStderr>>,
    /// Reads it when nobody else does.
    reader: Option<JoinHandle<()>>,
}

/// The program: the one that `SYNCKAIROS_BIN` names, or else the one that cargo built beside this test.
pub fn path() -> PathBuf {
    if let Some(named) = std::env::var_os("SYNCKAIROS_BIN").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let own = std::env::current_exe().expect("a test has a path");
    // Cargo puts tests and benches into a directory below that of the programs.
    let beside = own.ancestors().nth(2).expect("it is in a directory").join("synckairos");
    assert!(beside.is_file(), "{} is not there", beside.display());
    beside
}

/// The program with nothing of the test's own environment.
pub fn command() -> Command {
    let mut command = Command::new(path());
    command.env_clear().stdin(Stdio::null());
    // As many as fit into any machine's descriptors, so that nothing is said of them.
    command.env("MAX_CONNECTIONS", "2000");
    // The tests' clients name none of its own.
    command.env("ALLOWED_HOSTS", "*");
    command
}

/// Runs the program to its end.
pub fn output(command: &mut Command) -> Output {
    let output = command.output().expect("the program runs");
    planted::search(&String::from_utf8_lossy(&output.stderr));
    output
}

impl Program {
    /// Starts it on a port of its own and waits until it listens.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_command(command().env("PORT", "0").envs(settings.iter().copied()))
    }

    /// Starts it as it is told and waits until it listens.
    pub fn start_command(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program runs");
        let mut log = BufReader::new(child.stderr.take().expect("the log is piped"));
        // What it connects to may answer before it listens.
        let mut early = Vec::new();
        let (started, address) = loop {
            let line = line(&mut log);
            let said: serde_json::Value =
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a log line: {line:?}"));
            if let Some(address) = said["address"].as_str().and_then(|text| text.parse().ok()) {
                break (said, address);
            }
            early.push(line);
        };
        Self { child, address, started, early, log: Some(log), reader: None }
    }

    /// The next line of its log; empty when it has ended.
    pub fn log_line(&mut self) -> String {
        self.log.as_mut().map(line).unwrap_or_default()
    }

    /// What it said before it listened.
    pub fn log_early(&mut self) -> Vec<String> {
        std::mem::take(&mut self.early)
    }

    /// The rest of its log, when it has ended.
    pub fn log_rest(&mut self) -> Vec<String> {
        let log = self.log.as_mut().expect("nobody else reads it");
        let lines: Vec<_> = log.by_ref().lines().map(|line| line.expect("the log is text")).collect();
        lines.iter().for_each(|line| planted::search(line));
        lines
    }

    /// All that it said but that it listens, when it has ended.
    pub fn log_whole(&mut self) -> Vec<String> {
        let early = std::mem::take(&mut self.early);
        early.into_iter().chain(self.log_rest()).collect()
    }

    /// Lets its log be read by nobody, however long it gets; shows what is worth it.
    pub fn leave_log(&mut self, is_shown: impl Fn(&str) -> bool + Send + 'static) {
        let Some(log) = self.log.take() else { return };
        self.reader = Some(std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                planted::search(&line);
                if is_shown(&line) {
                    println!("{line}");
                }
            }
        }));
    }

    /// Its resident memory (Linux).
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it takes memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits until it has ended; returns its exit code, if it has one.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        wait::until("the program ends", async || {
            status = self.child.try_wait().expect("it was started");
            status.is_some()
        })
        .await;
        status.and_then(|status| status.code())
    }

    /// Sends it a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            return;
        }
        if let Some(log) = self.log.take() {
            planted::search(&unread(log));
        }
        // It ends with the log, unless a process that the program has started still holds that.
        if let Some(reader) = self.reader.take().filter(JoinHandle::is_finished) {
            reader.join().expect("nothing secret is in the log");
        }
    }
}

/// What is there of a log that nobody has read; what is written from now on is not waited for.
fn unread(mut log: BufReader<ChildStderr>) -> String {
    rustix::fs::fcntl_setfl(log.get_ref(), OFlags::NONBLOCK).expect("it is a pipe");
    let mut rest = Vec::new();
    // Nothing more is there: its end, or an error when a process that the program has started still holds it.
    let _ = log.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

fn line(log: &mut impl BufRead) -> String {
    let mut line = String::new();
    log.read_line(&mut line).expect("the log is text");
    planted::search(&line);
    line
}
