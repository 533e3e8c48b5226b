//! The settings of a server: one table, each setting an option and an environment variable, read through a function so that
//! nothing here touches the environment. Does not know what the values do.

mod access;
mod audit;
mod listening;
mod load;
mod reader;
mod redis;
mod settings;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::client::TrustedProxies;
use crate::engine::OnTimeout;

pub use self::redis::RedisSettings;
pub use access::{AccessMode, AccessSettings};
pub use audit::AuditSettings;
pub use listening::Address;
pub use settings::{HEADINGS, SETTINGS, Setting, SettingKind};

/// All settings, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub address: Address,
    /// Where operators are served apart from clients; `None` is at the same.
    pub admin_address: Option<Address>,
    /// Who may ask.
    pub access: AccessSettings,
    /// What all paths begin with; empty when nothing.
    pub base_path: String,
    /// How much to log.
    pub log_level: LevelFilter,
    /// How to log.
    pub log_format: LogFormat,
    /// Switches of one session per second; 0 is without limit.
    pub rate_limit_switch: u32,
    /// Requests of one client per minute; 0 is without limit.
    pub rate_limit_general: u32,
    /// What a flag does in sessions whose creator does not say.
    pub default_on_timeout: OnTimeout,
    /// Open connections at most.
    pub connections_max: u32,
    /// Of them of one client address; 0 is without limit.
    pub connections_of_address_max: u32,
    /// The proxies that are trusted to say who asks.
    pub trusted_proxies: TrustedProxies,
    /// Where this process keeps its sessions over a restart; `None` is nowhere.
    pub data_dir: Option<PathBuf>,
    /// Where sessions are kept; `None` is in this process.
    pub redis: Option<RedisSettings>,
    /// Where changes are written down; `None` is nowhere.
    pub audit: Option<AuditSettings>,
    /// How old a session's last change may be for it to come back.
    pub recovery_age_max: Duration,
    /// How long history is kept; `None` for ever.
    pub history_age_max: Option<Duration>,
    /// How long a deleted session is remembered.
    pub tombstone_ttl: Duration,
    /// Sessions in this process at most.
    pub sessions_max: usize,
    /// Bytes that they may take; `None` is a quarter of the memory that there is.
    pub sessions_bytes_max: Option<usize>,
    /// Bytes of request bodies that may be on their way.
    pub bodies_bytes_max: usize,
    /// How long a session is kept that was not started.
    pub lifetime_pending: Duration,
    /// How long one is kept that is paused, or runs without a deadline.
    pub lifetime_idle: Duration,
    /// How long one is kept that has ended.
    pub lifetime_ended: Duration,
    /// How long a connection may wait for a request.
    pub idle_timeout: Duration,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How long its body may take.
    pub body_timeout: Duration,
    /// How long its answer may take.
    pub request_timeout: Duration,
    /// How long to go on serving when the stop is announced.
    pub drain: Duration,
    /// Bytes of answers that one WebSocket client may ask for in a second; 0 is without limit.
    pub rate_limit_answer_bytes: u32,
    /// Bytes that may wait to be sent to all WebSocket clients together.
    pub outbox_bytes_max: u64,
    /// How often a WebSocket client must show that it is there.
    pub heartbeat: Duration,
    /// How long a WebSocket client may leave a message unread. Not a setting.
    pub write_timeout: Duration,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// As the other end needs it: text on a terminal, JSON otherwise.
    Auto,
}

/// Whether a URL holds a password, as far as can be seen.
pub fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let in_login = rest.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'));
    in_login || query.split('&').any(|parameter| parameter.contains("pass") && !parameter.ends_with('='))
}
