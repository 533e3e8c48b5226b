//! The options of a run, as the command line gives them. Does not know what help says of them, nor what scenarios do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

/// The options of a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where the server is; the run starts one when there are none.
    pub(crate) urls: Vec<SocketAddr>,
    /// Its process, if that is known.
    pub(crate) pid: Option<u32>,
    /// A file with the key or token that every request shows.
    pub(crate) token_file: Option<PathBuf>,
    /// Other servers, which are interleaved with it.
    pub(crate) against: Vec<(String, Vec<SocketAddr>)>,
    /// What a server that is started keeps sessions in.
    pub(crate) backend: Backend,
    /// Redis and PostgreSQL write to the disk before they answer.
    pub(crate) is_durable: bool,
    pub(crate) instances: usize,
    pub(crate) connections: Vec<usize>,
    pub(crate) rate: Option<f64>,
    pub(crate) duration: Duration,
    pub(crate) slice: Duration,
    pub(crate) sessions: usize,
    pub(crate) clients: usize,
    pub(crate) changes: u64,
    pub(crate) report: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    /// As it was typed.
    pub(crate) command_line: String,
}

/// What a server keeps sessions in; each needs more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    Memory,
    File,
    Redis,
    AuditRow,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Memory => "in memory",
            Backend::File => "file",
            Backend::Redis => "Redis",
            Backend::AuditRow => "Redis + audit",
        }
    }
}

impl Options {
    /// Reads the options of a scenario.
    pub(crate) fn read(matches: &ArgMatches) -> Self {
        let number = |name: &str| matches.try_get_one::<u64>(name).ok().flatten().copied().unwrap_or_default();
        let connections = matches.try_get_many::<u64>("connections").ok().flatten();
        let backend = match (matches.get_flag("file"), matches.get_flag("redis"), matches.get_flag("audit")) {
            (_, _, true) => Backend::AuditRow,
            (_, true, false) => Backend::Redis,
            (true, false, false) => Backend::File,
            (false, false, false) => Backend::Memory,
        };
        let mut all: Vec<(String, Vec<SocketAddr>)> = Vec::new();
        for (name, address) in matches.get_many::<(String, SocketAddr)>("against").into_iter().flatten() {
            match all.iter_mut().find(|(other, _)| other == name) {
                Some((_, addresses)) => addresses.push(*address),
                None => all.push((name.clone(), vec![*address])),
            }
        }
        Self {
            urls: matches.get_many("url").into_iter().flatten().copied().collect(),
            pid: matches.get_one("pid").copied(),
            token_file: matches.get_one("token-file").cloned(),
            against: all,
            backend,
            is_durable: matches.get_flag("durable"),
            instances: number("instances") as usize,
            connections: connections.into_iter().flatten().map(|&number| number as usize).collect(),
            rate: matches.try_get_one("rate").ok().flatten().copied(),
            duration: Duration::from_secs(number("duration")),
            slice: Duration::from_millis(number("slice-ms")),
            sessions: number("sessions") as usize,
            clients: number("clients") as usize,
            changes: number("changes"),
            report: matches.get_one("report").cloned(),
            json: matches.get_one("json").cloned(),
            command_line: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        }
    }

    /// How many slices of each benchmark are measured.
    pub(crate) fn rounds(&self) -> usize {
        self.duration.div_duration_f64(self.slice).ceil().max(1.0) as usize
    }
}
