//! The processor time and memory of a process, read from Linux's /proc. Does not know what the process does.

use std::fs;
use std::io;

/// The unit of processor time in /proc, the same on all machines.
const TICKS_PER_S: f64 = 100.0;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// This process.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    /// Processor time used so far, in seconds.
    pub(crate) fn cpu_s(self) -> io::Result<f64> {
        Ok(Stat::read(self.0)?.cpu_s)
    }

    /// The same with that of its children, those that have ended included.
    pub(crate) fn tree_cpu_s(self) -> io::Result<f64> {
        let own = Stat::read(self.0)?;
        let numbers = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = numbers.filter_map(|number| Stat::read(number).ok()).filter(|stat| stat.parent == self.0);
        Ok(own.cpu_s + own.ended_s + children.map(|stat| stat.cpu_s).sum::<f64>())
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1_024).ok_or_else(|| io::Error::other("no VmRSS"))
    }
}

/// How many files this process may have open.
pub(crate) fn files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

struct Stat {
    parent: u32,
    cpu_s: f64,
    /// Of children that have ended.
    ended_s: f64,
}

impl Stat {
    fn read(process: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // Behind the name, which may hold anything, is the state; then the parent.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        let seconds = |index: usize| number(index) as f64 / TICKS_PER_S;
        let (cpu_s, ended_s) = (seconds(11) + seconds(12), seconds(13) + seconds(14));
        Ok(Self { parent: number(1) as u32, cpu_s, ended_s })
    }
}
