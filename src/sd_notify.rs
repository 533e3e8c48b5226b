//! systemd's notification protocol (sd_notify(3)): sends the service manager that started the program its state, a line on
//! a datagram socket, and heartbeats for the watchdog. Sends nothing where no manager listens. Does not know what it takes
//! to be ready.

use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::supervision::panic_point;

/// How long a send may block when the manager does not read.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The service manager that started the program, if one did. Cloning shares its socket.
#[derive(Clone, Debug)]
pub struct ServiceManager {
    socket: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Reads NOTIFY_SOCKET, a path or `@` and an abstract name, and WATCHDOG_USEC, the heartbeat timeout, which counts
    /// unless WATCHDOG_PID names another process.
    pub fn find(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let socket = lookup("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| {
            let opened = open(&path);
            opened.inspect_err(|error| warn!(path, %error, "the service manager cannot be told")).ok()
        });
        let is_meant = lookup("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let timeout_us = lookup("WATCHDOG_USEC").and_then(|text| text.parse().ok()).filter(|us| is_meant && *us > 0);
        Self { socket: socket.map(Arc::new), watchdog: timeout_us.map(Duration::from_micros) }
    }

    /// The server is ready.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The server shuts down gracefully.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Sends heartbeats, two in each watchdog timeout, or none where no watchdog waits; runs until it is dropped. It is a
    /// task of the runtime, so a runtime that hangs misses its heartbeats.
    pub async fn heartbeat(self) {
        let Some(timeout) = self.watchdog else { return std::future::pending().await };
        let mut beats = tokio::time::interval(timeout / 2);
        loop {
            beats.tick().await;
            panic_point("watchdog", "");
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, state: &str) {
        let Some((socket, manager)) = self.socket.as_deref() else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), manager) {
            warn!(state, %error, "the service manager cannot be told");
        }
    }
}

fn open(path: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let manager = match path.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok((socket, manager))
}
