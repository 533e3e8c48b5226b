//! The servers that are measured: started here, killed when the run is over.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A server process.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The floor: this very program.
    pub(crate) fn bare() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("bare").stdout(Stdio::piped()).spawn()?;
        let line = first_line(child.stdout.take())?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { child, address })
    }

    /// SyncKairos, built beside this program.
    pub(crate) fn synckairos() -> io::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["--port", "0", "--rate-limit-switch", "0", "--log-format", "json"]);
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let line = first_line(child.stderr.take())?;
        let address = line.split('"').find_map(|part| part.parse().ok());
        Ok(Self { child, address: address.ok_or_else(|| io::Error::other(line))? })
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1_024).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// Processor time used so far, in seconds.
    pub(crate) fn cpu_s(&self) -> io::Result<f64> {
        const TICKS_PER_S: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
        Ok((ticks(11) + ticks(12)) / TICKS_PER_S)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> io::Result<PathBuf> {
    let examples = std::env::current_exe()?;
    let built = examples.parent().and_then(|examples| examples.parent()).map(|built| built.join("synckairos"));
    built.filter(|path| path.exists()).ok_or_else(|| io::Error::other("build the server first: cargo build --release"))
}

fn first_line(stream: Option<impl Read>) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
    Ok(line)
}
