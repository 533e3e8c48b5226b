//! Reads and checks every setting, or those that a command needs; reports everything that is wrong at once. Does not know
//! where the values come from.

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::auth::KeySources;
use crate::client::TrustedProxies;
use crate::engine::OnTimeout;
use crate::postgres::PostgresAccess;

use super::reader::SettingsReader;
use super::{Config, LogFormat, RedisSettings};

impl Config {
    /// Reads every setting through `lookup`; reports everything that is wrong at once, a line each.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut reader = SettingsReader::new(lookup);
        let redis = reader.redis();
        let audit = reader.audit(redis.is_some());
        let data_dir = reader.data_dir();
        let address = reader.address();
        let admin_address = reader.admin_address(&address);
        let access = reader.access(&address, admin_address.as_ref());
        let (log_level, log_format) = reader.logging();
        let config = Self {
            address,
            admin_address,
            access,
            base_path: reader.base_path(),
            log_level,
            log_format,
            rate_limit_switch: reader.count("RATE_LIMIT_SWITCH", 0),
            rate_limit_general: reader.count("RATE_LIMIT_GENERAL", 0),
            default_on_timeout: reader.on_timeout(),
            connections_max: reader.count("MAX_CONNECTIONS", 1),
            connections_of_address_max: reader.count("MAX_CONNECTIONS_PER_ADDRESS", 0),
            trusted_proxies: reader.trusted_proxies(),
            data_dir,
            redis,
            audit,
            history_age_max: reader.history_age_max(),
            recovery_age_max: Duration::from_secs(u64::from(reader.count("RECOVERY_MAX_AGE_S", 1))),
            tombstone_ttl: Duration::from_secs(u64::from(reader.count("TOMBSTONE_TTL_S", 1))),
            sessions_max: reader.count("MAX_SESSIONS", 1) as usize,
            sessions_bytes_max: reader.sessions_bytes_max(),
            bodies_bytes_max: reader.bytes("MAX_BODIES_BYTES", 4 << 20) as usize,
            lifetime_pending: reader.lifetime("LIFETIME_PENDING_S"),
            lifetime_idle: reader.lifetime("LIFETIME_IDLE_S"),
            lifetime_ended: reader.lifetime("LIFETIME_ENDED_S"),
            idle_timeout: reader.millis("IDLE_TIMEOUT_MS"),
            head_timeout: reader.millis("HEADER_TIMEOUT_MS"),
            body_timeout: reader.millis("BODY_TIMEOUT_MS"),
            request_timeout: reader.millis("REQUEST_TIMEOUT_MS"),
            drain: reader.seconds("DRAIN_S"),
            rate_limit_answer_bytes: reader.count("RATE_LIMIT_ANSWER_BYTES", 0),
            outbox_bytes_max: reader.bytes("MAX_OUTBOX_BYTES", 1 << 20),
            heartbeat: reader.millis("HEARTBEAT_MS"),
            write_timeout: Duration::from_secs(10),
        };
        reader.end(config)
    }

    /// Reads the settings of Redis alone.
    pub fn read_redis(lookup: impl Fn(&str) -> Option<String>) -> Result<RedisSettings, Vec<String>> {
        let mut reader = SettingsReader::new(lookup);
        let redis = reader.redis();
        reader.end(redis)?.ok_or_else(|| vec!["REDIS_URL: missing: that is what is asked".to_owned()])
    }

    /// Reads where the database is, alone.
    pub fn read_database(lookup: impl Fn(&str) -> Option<String>) -> Result<PostgresAccess, Vec<String>> {
        let mut reader = SettingsReader::new(lookup);
        let database = reader.database();
        reader.end(database)?.ok_or_else(|| vec!["DATABASE_URL: missing: that is what is asked".to_owned()])
    }

    /// Reads where keys stand, alone; what is wrong with the keys is told when they are read.
    pub fn read_keys(lookup: impl Fn(&str) -> Option<String>) -> Result<KeySources, Vec<String>> {
        let mut reader = SettingsReader::new(lookup);
        let sources = reader.key_sources();
        reader.end(sources)
    }

    /// Reads how to log.
    pub fn read_logging(lookup: impl Fn(&str) -> Option<String>) -> Result<(LevelFilter, LogFormat), Vec<String>> {
        let mut reader = SettingsReader::new(lookup);
        let logging = reader.logging();
        reader.end(logging)
    }
}

impl<L: Fn(&str) -> Option<String>> SettingsReader<L> {
    fn logging(&mut self) -> (LevelFilter, LogFormat) {
        let level = self.parse("LOG_LEVEL", "off, error, warn, info, debug or trace", |text| text.parse().ok());
        let format = self.parse("LOG_FORMAT", "text, json or auto", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            "auto" => Some(LogFormat::Auto),
            _ => None,
        });
        (level.unwrap_or(LevelFilter::INFO), format.unwrap_or(LogFormat::Auto))
    }

    /// Sessions live in one place.
    fn data_dir(&mut self) -> Option<PathBuf> {
        let dir = self.given("DATA_DIR")?;
        if self.is_given("REDIS_URL") {
            self.problem("DATA_DIR: sessions are kept there or in Redis; unset it or REDIS_URL".to_owned());
        }
        Some(PathBuf::from(dir))
    }

    fn on_timeout(&mut self) -> OnTimeout {
        let choice = |text: &str| OnTimeout::ALL.into_iter().find(|choice| choice.name() == text);
        self.parse("DEFAULT_ON_TIMEOUT", "expire, advance or notify", choice).unwrap_or_default()
    }

    fn trusted_proxies(&mut self) -> TrustedProxies {
        let expected = "addresses and networks such as 10.0.0.0/8, between commas";
        self.parse("TRUSTED_PROXIES", expected, |text| text.parse().ok()).unwrap_or_default()
    }

    /// `None` is a part of the memory that there is.
    fn sessions_bytes_max(&mut self) -> Option<usize> {
        let expected = "auto, or a whole number of bytes, at least 1048576";
        let bytes_max = self.parse("MAX_SESSIONS_BYTES", expected, |text| match text {
            "auto" => Some(None),
            bytes => bytes.parse().ok().filter(|bytes| *bytes >= 1 << 20).map(Some),
        });
        bytes_max.flatten()
    }

    /// `None` is for ever.
    fn history_age_max(&mut self) -> Option<Duration> {
        match self.count("HISTORY_DAYS", 0) {
            0 => None,
            days => Some(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        }
    }
}
