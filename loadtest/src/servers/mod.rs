//! The servers of a run: those that `--url` names, and those that the run starts and kills at its end. Does not know what is
//! measured.

pub(crate) mod baseline;
pub(crate) mod process;
pub(crate) mod server_process;
pub(crate) mod target;

use std::io;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::options::{Backend, Options};
use test_support::directory::Directory;
use test_support::postgres::Postgres;
use test_support::redis::Redis;

use process::Process;
use server_process::{ServerProcess, binary};
use target::{Audit, Target};

/// What a scenario needs of the servers that a run starts for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// The least number of instances.
    pub(crate) instances: usize,
    /// The least backend.
    pub(crate) backend: Backend,
    /// Settings of the server.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// Whether the baseline is measured too.
    pub(crate) has_baseline: bool,
}

impl Needs {
    /// One server of any kind, and the baseline.
    pub(crate) const DEFAULT: Self = Self { instances: 1, backend: Backend::Memory, settings: &[], has_baseline: true };
}

/// The servers of a run. Those that were started end when this is dropped, the instances first.
pub(crate) struct Fleet {
    pub(crate) baseline: Option<Arc<Target>>,
    pub(crate) targets: Vec<Arc<Target>>,
    _children: Vec<ServerProcess>,
    _redis: Option<Redis>,
    /// The PostgreSQL that the run started.
    pub(crate) postgres: Option<Arc<Mutex<Postgres>>>,
    _data: Option<Directory>,
}

impl Fleet {
    /// Starts what has to be started.
    pub(crate) fn start(needs: &Needs, options: &Options) -> io::Result<Self> {
        let mut children = Vec::new();
        let baseline = needs.has_baseline.then(ServerProcess::baseline).transpose()?;
        let baseline = baseline.map(|started| {
            let target = Target { instances: vec![started.process()], ..Target::at("", vec![started.address]) };
            children.push(started);
            Arc::new(target)
        });
        let mut fleet =
            Self { baseline, targets: Vec::new(), _children: children, _redis: None, postgres: None, _data: None };
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
            let started = ServerProcess::synckairos(&settings)?;
            target.addresses.push(started.address);
            target.instances.push(started.process());
            self._children.push(started);
        }
        Ok(target)
    }
}

/// The server that `--url` names.
fn given(options: &Options) -> Target {
    let mut target = Target::at("server", options.urls.clone());
    target.instances.extend(options.pid.map(Process));
    target.audit = (options.backend == Backend::AuditRow).then(Audit::default);
    target
}
