//! The machine that a run was made on: figures of different machines cannot be compared. Known on Linux only.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is known of the machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) system: String,
    /// Processes that wanted a core in the last minute, before the run.
    pub(crate) load: String,
    /// When the run began, in seconds since 1970.
    pub(crate) began_s: u64,
}

impl Machine {
    /// Reads this machine's.
    pub(crate) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processor = text("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let system = text("/proc/sys/kernel/osrelease");
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor.map_or("unknown", |(_, name)| name).to_owned(),
            system: format!("{} {}", std::env::consts::OS, system.trim()),
            load: text("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            began_s: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        }
    }

    /// The machine in a line.
    pub(crate) fn line(&self) -> String {
        let Self { cores, processor, system, load, .. } = self;
        format!("{cores} cores of {processor}, {system}, load {load} before the run; server and generator share them")
    }
}
