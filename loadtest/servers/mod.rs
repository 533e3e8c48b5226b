//! The servers of a run: those that are given by their URLs, and those that are started here and killed at its end. Does
//! not know what is measured.

pub(crate) mod bare;
pub(crate) mod process;
pub(crate) mod target;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::options::{Backend, Options};
use crate::support::directory::Directory;
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;

use process::Process;
use target::{Audit, Target};

/// How long a server may take until it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What a scenario asks of the servers that are started for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// Instances at least.
    pub(crate) instances: usize,
    /// What they keep sessions in at least.
    pub(crate) backend: Backend,
    /// Settings of theirs.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// Whether figures are told as ratios to the floor.
    pub(crate) has_floor: bool,
}

impl Needs {
    /// One server of any kind, and the floor.
    pub(crate) const DEFAULT: Self = Self { instances: 1, backend: Backend::Memory, settings: &[], has_floor: true };
}

/// The servers of a run. Those that were started end when this is dropped, the instances first.
pub(crate) struct Fleet {
    pub(crate) floor: Option<Arc<Target>>,
    pub(crate) targets: Vec<Arc<Target>>,
    _children: Vec<Started>,
    _redis: Option<Redis>,
    /// The database that was started here.
    pub(crate) postgres: Option<Arc<Mutex<Postgres>>>,
    _data: Option<Directory>,
}

/// A server process.
struct Started {
    child: Child,
    address: SocketAddr,
}

impl Fleet {
    /// Starts what has to be started.
    pub(crate) fn start(needs: &Needs, options: &Options) -> io::Result<Self> {
        let mut children = Vec::new();
        let floor = needs.has_floor.then(Started::bare).transpose()?;
        let floor = floor.map(|started| {
            let target = Target { instances: vec![started.process()], ..Target::at("", vec![started.address]) };
            children.push(started);
            Arc::new(target)
        });
        let mut fleet =
            Self { floor, targets: Vec::new(), _children: children, _redis: None, postgres: None, _data: None };
        let first = if options.urls.is_empty() { fleet.start_own(needs, options)? } else { given(options) };
        fleet.targets.push(Arc::new(first));
        for (name, addresses) in &options.against {
            fleet.targets.push(Arc::new(Target::at(name, addresses.clone())));
        }
        for address in fleet.targets.iter().flat_map(|target| &target.addresses) {
            let reachable = TcpStream::connect(address);
            reachable
                .map_err(|error| io::Error::new(error.kind(), format!("nothing listens on {address}: {error}")))?;
        }
        Ok(fleet)
    }

    fn start_own(&mut self, needs: &Needs, options: &Options) -> io::Result<Target> {
        let backend = needs.backend.max(options.backend);
        let mut settings: Vec<(&str, String)> =
            needs.settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut helpers = Vec::new();
        match backend {
            Backend::Memory => {}
            Backend::File => {
                let directory = self._data.insert(Directory::new());
                settings.push(("DATA_DIR", directory.text().to_owned()));
            }
            Backend::Redis | Backend::AuditRow => {
                let redis: &[_] = match options.is_durable {
                    true => &["--save", "", "--appendonly", "yes", "--appendfsync", "always"],
                    false => &["--save", "", "--appendonly", "no"],
                };
                let redis = self._redis.insert(Redis::start_with(redis));
                settings.push(("REDIS_URL", redis.url()));
                helpers.push(("Redis", Process(redis.process())));
            }
        }
        match backend {
            Backend::Redis => settings.push(("AUDIT", "off".to_owned())),
            Backend::AuditRow => {
                let setting = if options.is_durable { "fsync=on" } else { "fsync=off" };
                let postgres = Postgres::start_with(&[setting], &[]);
                let url = postgres.url("postgres");
                // Instances begin to read and write at once, and the tables should be there.
                let migrated = Command::new(binary()?).arg("migrate").env("DATABASE_URL", &url).output()?;
                if !migrated.status.success() {
                    return Err(io::Error::other(String::from_utf8_lossy(&migrated.stderr).into_owned()));
                }
                settings.push(("DATABASE_URL", url));
                helpers.push(("PostgreSQL", Process(postgres.process())));
                self.postgres = Some(Arc::new(Mutex::new(postgres)));
            }
            Backend::Memory | Backend::File => {}
        }
        let mut target = Target::at(backend.name(), Vec::new());
        target.helpers = helpers;
        target.audit = (backend == Backend::AuditRow).then(Audit::default);
        for _ in 0..needs.instances.max(options.instances) {
            let started = Started::synckairos(&settings)?;
            target.addresses.push(started.address);
            target.instances.push(started.process());
            self._children.push(started);
        }
        Ok(target)
    }
}

/// The server that was said to be there already.
fn given(options: &Options) -> Target {
    let mut target = Target::at("server", options.urls.clone());
    target.instances.extend(options.pid.map(Process));
    target.audit = (options.backend == Backend::AuditRow).then(Audit::default);
    target
}

impl Started {
    /// The floor: this very program.
    fn bare() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("bare").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other);
        // Held before anything can fail, so that the child does not outlive it.
        let mut started = Self { child, address: SocketAddr::from(([0; 4], 0)) };
        started.address = address?;
        Ok(started)
    }

    /// SyncKairos, built beside this program. It inherits the environment.
    fn synckairos(settings: &[(&str, String)]) -> io::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["--port", "0", "--rate-limit-switch", "0", "--log-format", "json", "--max-sessions", "4000000"]);
        // Older servers do not know the option, but mind no environment.
        command.env("RATE_LIMIT_ANSWER_BYTES", "0");
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut started = Self { child, address: SocketAddr::from(([0; 4], 0)) };
        started.address = loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                return Err(io::Error::other("the server ended before it listened; its log says why"));
            }
            if let Some(address) = line.split('"').find_map(|part| part.parse().ok()) {
                break address;
            }
            complain(&line);
        };
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| complain(&line));
        });
        started.wait()?;
        Ok(started)
    }

    fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Waits until it is ready.
    fn wait(&self) -> io::Result<()> {
        let start = Instant::now();
        while !self.is_ready().unwrap_or(false) {
            if start.elapsed() > START_TIMEOUT {
                return Err(io::Error::other("the server does not get ready; its log says why"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn is_ready(&self) -> io::Result<bool> {
        let mut tcp = TcpStream::connect(self.address)?;
        tcp.write_all(b"GET /ready HTTP/1.1\r\nhost: loadtest\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        tcp.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows what a server complains of; the rest of its log would only be in the way.
fn complain(line: &str) {
    if !line.contains("\"INFO\"") {
        eprintln!("{}", line.trim_end());
    }
}

fn binary() -> io::Result<PathBuf> {
    let examples = std::env::current_exe()?;
    let built = examples.parent().and_then(|examples| examples.parent()).map(|built| built.join("synckairos"));
    built.filter(|path| path.exists()).ok_or_else(|| io::Error::other("build the server first: cargo build --release"))
}
