//! A server inside the test's own process, on a port of its own.

use std::net::SocketAddr;

use synckairos::config::{Address, Config};
use synckairos::serve::{self, RunningServer};

use super::http::Connection;

/// A server that ends with the test.
pub struct Server {
    running: RunningServer,
}

impl Server {
    /// A server without limits on switches.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server with settings of the test's own.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_config(config(settings)).await
    }

    pub async fn start_config(config: Config) -> Self {
        Self { running: serve::start(config).await.expect("a port is free") }
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address().tcp().expect("it listens at an address")
    }

    /// Where operators are served apart.
    pub fn admin_address(&self) -> SocketAddr {
        self.running.admin_address().and_then(Address::tcp).expect("it has an address for operators")
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Connection {
        Connection::open(self.address()).await
    }

    /// Reads its keys again.
    pub fn reload(&self) {
        self.running.reload();
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// What a test server is told, unless `settings` say otherwise.
pub fn config(settings: &[(&str, &str)]) -> Config {
    let defaults = [
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("RATE_LIMIT_SWITCH", "0"),
        ("ALLOWED_HOSTS", "*"),
        ("CORS_ORIGIN", "*"),
    ];
    let given = |name: &str| settings.iter().chain(&defaults).find(|(key, _)| *key == name);
    Config::read(|name| given(name).map(|(_, value)| (*value).to_owned())).expect("the settings are valid")
}
