//! Tells the service manager that started the program how it is, the way systemd asks for it (sd_notify(3)): a line on
//! a datagram socket. Where nobody asks, nothing is told. Does not know what it takes to be ready.

use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::supervision::panic_point;

/// A manager that does not listen keeps nobody waiting.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Whoever started the program and wants to know. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Manager {
    socket: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Found through NOTIFY_SOCKET, a path or `@` and an abstract name; WATCHDOG_USEC says how long it may be left
    /// without a sign of life, if WATCHDOG_PID does not name another process.
    pub fn find(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let socket = lookup("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| {
            let opened = open(&path);
            opened.inspect_err(|error| warn!(path, %error, "the service manager cannot be told")).ok()
        });
        let is_meant = lookup("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let timeout_us = lookup("WATCHDOG_USEC").and_then(|text| text.parse().ok()).filter(|us| is_meant && *us > 0);
        Self { socket: socket.map(Arc::new), watchdog: timeout_us.map(Duration::from_micros) }
    }

    /// It serves.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It was told to stop, and does so in order.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Gives signs of life, twice in the time that is given for one, or none where nobody asks; runs until it is
    /// dropped. A task like all others: where none is run, the signs stay away.
    pub async fn live(self) {
        let Some(timeout) = self.watchdog else { return std::future::pending().await };
        let mut beats = tokio::time::interval(timeout / 2);
        loop {
            beats.tick().await;
            panic_point("watchdog", "");
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, state: &str) {
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
