//! Real Redis servers, each a process of its own on a free port, with its files in a directory of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A server that is killed when the test ends, and its files removed.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    dir: PathBuf,
    options: Vec<String>,
}

impl Redis {
    /// A server that forgets everything when it ends.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// A server with options of the test's own.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        static SERVERS: AtomicU32 = AtomicU32::new(0);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("synckairos-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the directory can be made");
        let port = free_port();
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(port, &dir, &options);
        let redis = Self { child, port, dir, options };
        redis.wait();
        redis
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many keys it holds, but for the one that says how the others are divided.
    pub(crate) fn len(&self) -> u64 {
        let mut commands = redis::pipe();
        commands.cmd("DBSIZE").cmd("EXISTS").arg("partitions");
        let (all, divided): (u64, u64) = commands.query(&mut self.connect()).expect("it answers");
        all - divided
    }

    /// Kills it at once and starts it again on its files, with other options.
    pub(crate) fn restart_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&option| option.to_owned()).collect();
        self.restart();
    }

    /// Kills it at once and starts it again on its files.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.dir, &self.options);
        self.wait();
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.process().to_string()).status();
        assert!(status.expect("kill runs").success(), "the server is there");
    }

    /// A connection of the test's own.
    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).expect("the server answers")
    }

    fn wait(&self) {
        let start = Instant::now();
        while redis::Client::open(self.url())
            .and_then(|client| client.get_connection_with_timeout(Duration::from_millis(100)))
            .and_then(|mut connection| redis::cmd("PING").exec(&mut connection))
            .is_err()
        {
            assert!(start.elapsed() < Duration::from_secs(20), "Redis does not answer");
            std::thread::yield_now();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn spawn(port: u16, dir: &PathBuf, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(dir).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed: tests/run installs it")
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}
