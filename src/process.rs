//! This process as the operating system sees it: how many descriptors it may have, and what it takes. Does not know what
//! it does.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engine::Timestamp;

/// How many ticks Linux counts in a second of processor time, towards programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Raises the limit on descriptors as far as this process may; returns it, unless there is none.
pub fn raise_descriptors() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where that is not permitted it stays as it is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    getrlimit(Resource::Nofile).current
}

/// Tells what the process takes, under the names that every dashboard knows. Where the system does not say, neither does
/// this.
#[derive(Debug)]
pub struct ProcessCollector {
    started: Timestamp,
}

impl ProcessCollector {
    /// Of a process that began then.
    pub fn new(started: Timestamp) -> Self {
        Self { started }
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken {
    processor_s: f64,
    threads: u64,
    virtual_bytes: u64,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            Some(value) => {
                ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
            }
            None => Ok(()),
        };
        let started_s = self.started.as_ms() as f64 / 1_000.0;
        gauge("process_start_time_seconds", "When the process began, since the Unix epoch", Some(started_s))?;
        let taken = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| taken(&stat));
        let status = fs::read_to_string("/proc/self/status").ok();
        let limits = fs::read_to_string("/proc/self/limits").ok();
        let resident = status.as_deref().and_then(resident_bytes);
        gauge("process_resident_memory_bytes", "Memory in use", resident.map(|bytes| bytes as f64))?;
        let virtual_bytes = taken.map(|taken| taken.virtual_bytes as f64);
        gauge("process_virtual_memory_bytes", "Addresses in use", virtual_bytes)?;
        gauge("process_threads", "Threads", taken.map(|taken| taken.threads as f64))?;
        // But for the one that counts them.
        let open = fs::read_dir("/proc/self/fd").ok().map(|found| found.count().saturating_sub(1));
        gauge("process_open_fds", "Descriptors in use", open.map(|count| count as f64))?;
        let most = limits.as_deref().and_then(descriptors_max);
        gauge("process_max_fds", "Descriptors that may be in use", most)?;
        match taken {
            Some(Taken { processor_s, .. }) => {
                let help = "Time on processors, the system's part included";
                let counter = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
                ConstCounter::new(processor_s).encode(counter)
            }
            None => Ok(()),
        }
    }
}

/// Reads `/proc/self/stat`: the program's name, which may hold anything, is in parentheses.
fn taken(stat: &str) -> Option<Taken> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // Counted from the third one.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Taken {
        processor_s: (field(14)? + field(15)?) as f64 / TICKS_PER_SECOND,
        threads: field(20)?,
        virtual_bytes: field(23)?,
    })
}

fn resident_bytes(status: &str) -> Option<u64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? * 1_024)
}

fn descriptors_max(limits: &str) -> Option<f64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_ascii_whitespace().next()?;
    soft.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Taken, descriptors_max, resident_bytes, taken};

    #[test]
    fn reads_what_linux_says() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 12 0 99 4096000 500 1";
        let expected = Taken { processor_s: 3.0, threads: 12, virtual_bytes: 4_096_000 };
        assert_eq!(taken(stat), Some(expected));
        assert_eq!(taken("7 (a"), None);
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t  2048 kB\n"), Some(2_097_152));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024       4096        files\n";
        assert_eq!(descriptors_max(limits), Some(1_024.0));
        assert_eq!(descriptors_max("Max open files  unlimited unlimited files"), None);
    }
}
