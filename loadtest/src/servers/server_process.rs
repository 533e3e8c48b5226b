//! One server process: SyncKairos or the baseline, started on a free port, ready when it is handed out, and killed when it
//! is dropped. Does not know what it keeps sessions in, nor what is measured.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::process::Process;

/// Names the server's binary, when it is another one than that beside this program.
const BINARY_VARIABLE: &str = "SYNCKAIROS_BIN";
/// How long a server may take until it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A server process.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// The baseline: this very program.
    pub(super) fn baseline() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("bare").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other);
        // Owned before anything can fail, so that the child is killed.
        let mut started = Self { child, address: SocketAddr::from(([0; 4], 0)) };
        started.address = address?;
        Ok(started)
    }

    /// SyncKairos, in the binary that [`binary`] finds. It inherits the environment.
    pub(crate) fn synckairos(settings: &[(&str, String)]) -> io::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["--port", "0", "--rate-limit-switch", "0", "--log-format", "json", "--max-sessions", "4000000"]);
        // Older servers refuse an option that they do not know, but no variable.
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

    /// The process.
    pub(super) fn process(&self) -> Process {
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
        tcp.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut response = String::new();
        tcp.read_to_string(&mut response)?;
        Ok(response.starts_with("HTTP/1.1 200 "))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows warnings and errors of a server's log.
fn complain(line: &str) {
    if !line.contains("\"INFO\"") {
        eprintln!("{}", line.trim_end());
    }
}

/// The server's binary: the one that `SYNCKAIROS_BIN` names, or else the one that was built beside this program.
pub(super) fn binary() -> io::Result<PathBuf> {
    find_binary(std::env::var_os(BINARY_VARIABLE), &std::env::current_exe()?)
}

fn find_binary(named: Option<OsString>, own: &Path) -> io::Result<PathBuf> {
    let (candidates, hint) = match named.filter(|named| !named.is_empty()) {
        Some(named) => {
            let hint = format!("{BINARY_VARIABLE} names no file: {}", Path::new(&named).display());
            (vec![PathBuf::from(named)], hint)
        }
        // Cargo puts tests into a directory below that of the programs.
        None => {
            let beside = own.ancestors().skip(1).take(2).map(|directory| directory.join("synckairos"));
            (beside.collect(), "build the server first, in the same profile: cargo build --release".to_owned())
        }
    };
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, hint))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use test_support::directory::Directory;

    use super::*;

    #[test]
    fn the_binary_is_the_named_one_or_the_one_beside_this_program() {
        let directory = Directory::new();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("target/debug/deps")).expect("it can be made");
        let (program, test) = (path("target/debug/loadtest"), path("target/debug/deps/loadtest-1a"));
        for own in [&program, &test] {
            let error = find_binary(None, own).expect_err("no server is built");
            assert!(error.to_string().contains("cargo build"), "{error}");
        }
        let (beside, other) = (path("target/debug/synckairos"), path("other"));
        for file in [&beside, &other] {
            fs::write(file, "").expect("it can be written");
        }
        for own in [&program, &test] {
            assert_eq!(find_binary(None, own).expect("it is beside"), beside);
            assert_eq!(find_binary(Some(OsString::new()), own).expect("it is beside"), beside);
            assert_eq!(find_binary(Some(other.clone().into()), own).expect("it is there"), other);
        }
        let error = find_binary(Some(path("none").into()), &program).expect_err("there is no such file");
        assert!(error.to_string().contains(BINARY_VARIABLE), "{error}");
    }
}
