//! Real Redis servers, each a process of its own on a free port, with its files in a directory of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A server that is killed when the test ends, and its files removed.
pub struct Redis {
    child: Child,
    port: u16,
    dir: PathBuf,
    setup: Setup,
}

/// How a server is to be.
#[derive(Clone, Default)]
pub struct Setup {
    options: Vec<String>,
    /// It listens with TLS only.
    is_encrypted: bool,
    /// What it is called in its URL.
    host: Option<String>,
    password: Option<String>,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// A server that forgets everything when it ends.
    pub fn forgetful() -> Self {
        Self::default().options(&["--save", "", "--appendonly", "no"])
    }

    /// More options, as the program takes them.
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Listens with TLS only, and is called by the name that its certificate has; files (PEM).
    pub fn with_tls(self, name: &str, certificate: &str, key: &str, authority: &str) -> Self {
        let certificate = ["--tls-cert-file", certificate, "--tls-key-file", key];
        let clients = ["--tls-ca-cert-file", authority, "--tls-auth-clients", "no"];
        Self { is_encrypted: true, host: Some(name.to_owned()), ..self.options(&certificate).options(&clients) }
    }

    /// Lets nobody in who has no certificate of its authority.
    pub fn with_certified_clients(self) -> Self {
        self.options(&["--tls-auth-clients", "yes"])
    }

    /// Lets nobody in who does not know a password.
    pub fn with_password(self, password: &str) -> Self {
        Self { password: Some(password.to_owned()), ..self.options(&["--requirepass", password]) }
    }

    /// Variables of its environment.
    pub fn environment(self, environment: Vec<(String, String)>) -> Self {
        Self { environment, ..self }
    }

    /// Somebody else who is let in, as an ACL says it.
    pub fn with_user(self, rules: &str) -> Self {
        self.options(&["--user"]).options(&rules.split(' ').collect::<Vec<_>>())
    }

    pub fn start(self) -> Redis {
        static SERVERS: AtomicU32 = AtomicU32::new(0);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("synckairos-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the directory can be made");
        let port = free_port();
        let child = spawn(port, &dir, &self);
        let redis = Redis { child, port, dir, setup: self };
        redis.wait();
        redis
    }
}

impl Redis {
    /// A server that forgets everything when it ends.
    pub fn start() -> Self {
        Setup::forgetful().start()
    }

    /// A server with options of the test's own.
    pub fn start_with(options: &[&str]) -> Self {
        Setup::default().options(options).start()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let login = self.setup.password.as_ref().map(|password| format!(":{password}@"));
        self.url_as(&login.unwrap_or_default())
    }

    /// The same for somebody else, such as `user:password@`.
    pub fn url_as(&self, login: &str) -> String {
        let scheme = if self.setup.is_encrypted { "rediss" } else { "redis" };
        let host = self.setup.host.as_deref().unwrap_or("127.0.0.1");
        format!("{scheme}://{login}{host}:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket on which it listens too.
    pub fn socket(&self) -> String {
        socket(&self.dir)
    }

    /// How many keys it holds, but for the one that says how the others are divided, and what instances say of
    /// themselves.
    pub fn len(&self) -> u64 {
        let all: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.connect()).expect("it answers");
        let is_about = |key: &str| ["partitions", "instances"].iter().any(|name| key.ends_with(name));
        all.iter().filter(|key| !is_about(key) && !key.contains("instance:")).count() as u64
    }

    /// Kills it at once and starts it again on its files, with other options.
    pub fn restart_with(&mut self, options: &[&str]) {
        self.setup.options = options.iter().map(|&option| option.to_owned()).collect();
        self.restart();
    }

    /// Kills it at once and starts it again on its files.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.dir, &self.setup);
        self.wait();
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        signal(self.process(), name);
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.own_url()).expect("a URL");
        client.get_connection().expect("the server answers")
    }

    /// The test itself comes through the socket, whoever else is let in.
    pub fn own_url(&self) -> String {
        let password = self.setup.password.as_ref().map(|password| format!("?pass={password}"));
        format!("unix://{}{}", self.socket(), password.unwrap_or_default())
    }

    fn wait(&self) {
        let start = Instant::now();
        while redis::Client::open(self.own_url())
            .and_then(|client| client.get_connection_with_timeout(Duration::from_millis(100)))
            .and_then(|mut connection| redis::cmd("PING").exec(&mut connection))
            .is_err()
        {
            assert!(start.elapsed() < Duration::from_secs(20), "Redis does not answer");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn socket(dir: &Path) -> String {
    dir.join("socket").display().to_string()
}

fn spawn(port: u16, dir: &Path, setup: &Setup) -> Child {
    let mut command = Command::new("redis-server");
    let (port, socket) = (port.to_string(), socket(dir));
    let ports = if setup.is_encrypted { &["--port", "0", "--tls-port", &port][..] } else { &["--port", &port] };
    command.args(ports).args(["--unixsocket", &socket, "--bind", "127.0.0.1", "--dir"]).arg(dir);
    command.args(&setup.options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.envs(setup.environment.iter().cloned());
    command.spawn().expect("redis-server is installed: tests/run installs it")
}

/// Sends a process a signal by name, such as `STOP`.
pub fn signal(process: u32, name: &str) {
    assert!(try_signal(process, name), "the process is there");
}

/// The same to a process that may be gone; returns whether it is there. No program of the system is asked, since it may not
/// be installed.
pub fn try_signal(process: u32, name: &str) -> bool {
    let signal = match name {
        "CONT" => Signal::CONT,
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "QUIT" => Signal::QUIT,
        "STOP" => Signal::STOP,
        "TERM" => Signal::TERM,
        other => panic!("no test sends {other}"),
    };
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("it is the number of a process");
    kill_process(process, signal).is_ok()
}

/// Lets no replica of a server follow it, now or later, while whoever else is connected goes on.
pub fn cut_replicas(master: &mut redis::Connection) {
    let mut commands = redis::pipe();
    commands.cmd("ACL").arg("SETUSER").arg("default").arg("-psync").arg("-sync").ignore();
    commands.cmd("CLIENT").arg("KILL").arg("TYPE").arg("replica").ignore();
    commands.exec(master).expect("it answers");
}

/// A port that nobody listens on, nor will soon: no two callers get the same one, and it is none of those that the
/// system gives to connections, which could take it while its server is not there.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    // Other test programs begin elsewhere.
    let start = (std::process::id().wrapping_mul(7_919) % u32::from(COUNT)) as u16;
    let next = || FIRST + start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..COUNT).map(|_| next()).find(is_free).expect("a port is free")
}
