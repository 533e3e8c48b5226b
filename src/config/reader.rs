//! Reads settings one by one: from what was given by itself, from the file that `NAME_FILE` names, or the default; collects
//! what is wrong with them. Does not know what the values do.

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::postgres;
use crate::redis::{Certificates, RedisAccess, RedisServer};
use crate::secret::{self, Source};

use super::{Audit, Kind, LogFormat, Redis, SETTINGS, Setting};

/// Partitions with a Cluster, unless it is said otherwise.
const CLUSTER_PARTITIONS: u16 = 32;

pub(super) struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(super) fn new(lookup: L) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// What was read, if nothing was wrong with it.
    pub(super) fn end<T>(self, read: T) -> Result<T, Vec<String>> {
        if self.problems.is_empty() { Ok(read) } else { Err(self.problems) }
    }

    /// A value without white space around it; an empty one is none.
    fn value(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// In whichever way.
    fn is_given(&self, name: &str) -> bool {
        self.value(name).or_else(|| self.value(&format!("{name}_FILE"))).is_some()
    }

    /// The file that a setting stands in, if it does.
    fn file_of(&mut self, name: &str) -> Option<PathBuf> {
        let is_file = |setting: &Setting| setting.name == name && setting.kind == Kind::File;
        if SETTINGS.iter().any(is_file) {
            return None;
        }
        let path = self.value(&format!("{name}_FILE"))?;
        if self.value(name).is_some() {
            self.problems.push(format!("{name}_FILE: {name} is given too; unset one"));
            return None;
        }
        Some(PathBuf::from(path))
    }

    /// A setting, as it was given by itself or in a file.
    fn given(&mut self, name: &str) -> Option<String> {
        let Some(path) = self.file_of(name) else { return self.value(name) };
        let text = secret::read(&path);
        text.map_err(|why| self.problems.push(format!("{name}_FILE: {why}"))).ok()
    }

    /// A secret, and where it comes from.
    pub(super) fn secret(&mut self, name: &str) -> Option<Source> {
        let Some(path) = self.file_of(name) else { return self.value(name).map(|text| Source::given(&text)) };
        let source = Source::file(&path);
        source.map_err(|why| self.problems.push(format!("{name}_FILE: {why}"))).ok()
    }

    pub(super) fn parse<T>(&mut self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let default = || SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.default.to_owned());
        let text = self.given(name).or_else(default)?;
        let value = parse(&text);
        if value.is_none() {
            self.problems.push(format!("{name}: {text:?} is not {expected}"));
        }
        value
    }

    pub(super) fn count(&mut self, name: &str, least: u32) -> u32 {
        const MOST: u32 = 100_000_000;
        let expected = format!("a whole number from {least} to {MOST}");
        let within = |count: &u32| (least..=MOST).contains(count);
        self.parse(name, &expected, |text| text.parse::<u32>().ok().filter(within)).unwrap_or_default()
    }

    pub(super) fn lifetime(&mut self, name: &str) -> Duration {
        const MOST: u64 = 31_536_000;
        let expected = format!("a whole number of seconds from 1 to {MOST}");
        let within = |seconds: &u64| (1..=MOST).contains(seconds);
        let seconds = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(within));
        Duration::from_secs(seconds.unwrap_or_default())
    }

    pub(super) fn seconds(&mut self, name: &str) -> Duration {
        const MOST: u64 = 3_600;
        let expected = format!("a whole number of seconds from 0 to {MOST}");
        let seconds = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(|s| *s <= MOST));
        Duration::from_secs(seconds.unwrap_or_default())
    }

    pub(super) fn millis(&mut self, name: &str) -> Duration {
        const MOST: u64 = 3_600_000;
        let expected = format!("a whole number of milliseconds from 1 to {MOST}");
        let within = |ms: &u64| (1..=MOST).contains(ms);
        let ms = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(within));
        Duration::from_millis(ms.unwrap_or_default())
    }

    /// A file that can be read.
    fn file(&mut self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.given(name)?);
        if let Err(error) = std::fs::File::open(&path) {
            self.problems.push(format!("{name}: {}: {error}", path.display()));
        }
        Some(path)
    }

    pub(super) fn logging(&mut self) -> (LevelFilter, LogFormat) {
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
    pub(super) fn data_dir(&mut self) -> Option<PathBuf> {
        let dir = self.given("DATA_DIR")?;
        if self.is_given("REDIS_URL") {
            self.problems.push("DATA_DIR: sessions are kept there or in Redis; unset it or REDIS_URL".to_owned());
        }
        Some(PathBuf::from(dir))
    }

    pub(super) fn redis(&mut self) -> Option<Redis> {
        let prefix = self.given("REDIS_PREFIX").unwrap_or_default();
        let is_divided = self.given("PARTITIONS").is_some();
        let partitions = self.parse("PARTITIONS", "a whole number from 1 to 999", |text| {
            text.parse().ok().filter(|count| (1..=999).contains(count))
        });
        let mut partitions = partitions.unwrap_or(1);
        let replicas_min = self.parse("REDIS_REPLICAS_MIN", "a whole number from 0 to 100", |text| {
            text.parse().ok().filter(|count| (0..=100).contains(count))
        });
        let record_format = self.parse("RECORD_FORMAT", "1 or 2", |text| match text {
            "1" => Some(1),
            "2" => Some(2),
            _ => None,
        });
        let known = self.problems.len();
        let certificates = self.certificates();
        // What cannot be read was told already.
        let readable = if self.problems.len() == known { certificates.clone() } else { Certificates::default() };
        let known = self.problems.len();
        let (url, password) = (self.secret("REDIS_URL"), self.secret("REDIS_PASSWORD"));
        let Some(url) = url else {
            if password.is_some() && self.problems.len() == known {
                self.problems.push("REDIS_PASSWORD: of use only with REDIS_URL; unset it, or give both".to_owned());
            }
            return None;
        };
        let access = RedisAccess { url, password, certificates: readable };
        match RedisServer::open(&access, Duration::ZERO) {
            Ok(server) if server.is_cluster() && !is_divided => partitions = CLUSTER_PARTITIONS,
            Ok(server) if server.is_cluster() && partitions < 2 => {
                self.problems.push("PARTITIONS: a Cluster needs 2 or more".to_owned());
            }
            Ok(_) => {}
            Err(why) => self.problems.push(format!("REDIS_URL: {why}")),
        }
        let access = RedisAccess { certificates, ..access };
        Some(Redis { access, prefix, partitions, replicas_min: replicas_min?, record_format: record_format? })
    }

    fn certificates(&mut self) -> Certificates {
        let authority = self.file("REDIS_CA_CERT");
        let client = match (self.file("REDIS_CLIENT_CERT"), self.file("REDIS_CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                self.problems.push("REDIS_CLIENT_KEY: a certificate is of no use without its key".to_owned());
                None
            }
            (None, Some(_)) => {
                self.problems.push("REDIS_CLIENT_CERT: a key is of no use without its certificate".to_owned());
                None
            }
        };
        Certificates { authority, client }
    }

    /// Where the database is, if that is said.
    pub(super) fn database(&mut self) -> Option<postgres::PostgresAccess> {
        let is_encrypted = match self.given("DATABASE_SSL").as_deref() {
            None => None,
            Some("true" | "on" | "1") => Some(true),
            Some("false" | "off" | "0") => Some(false),
            Some(other) => {
                self.problems
                    .push(format!("DATABASE_SSL: {other:?} is not true or false; sslmode in the URL says more"));
                None
            }
        };
        let (url, password) = (self.secret("DATABASE_URL"), self.secret("DATABASE_PASSWORD"));
        let access = postgres::PostgresAccess { url: url?, password, is_encrypted };
        if let Err(why) = postgres::PostgresServer::open(&access) {
            self.problems.push(format!("DATABASE_URL: {why}"));
        }
        Some(access)
    }

    /// To go without an audit must be said; to ignore what asks for one would lose it.
    pub(super) fn audit(&mut self, is_shared: bool) -> Option<Audit> {
        let is_on = self.parse("AUDIT", "on or off", |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        });
        let threads = self.parse("DATABASE_POOL_MAX", "a whole number from 1 to 100", |text| {
            text.parse().ok().filter(|threads| (1..=100).contains(threads))
        });
        let queue_bytes_max = self.parse("AUDIT_QUEUE_MAX_BYTES", "a whole number of bytes, at least 65536", |text| {
            text.parse().ok().filter(|bytes| *bytes >= 65_536)
        });
        let known = self.problems.len();
        let access = self.database();
        match (is_on, is_shared, access) {
            (Some(true), true, Some(access)) => {
                Some(Audit { access, threads: threads?, queue_bytes_max: queue_bytes_max? })
            }
            (Some(true), true, None) => {
                let what = "every change is written there; without it, say that you know with AUDIT=off";
                if self.problems.len() == known {
                    self.problems.push(format!("DATABASE_URL: missing: {what}"));
                }
                None
            }
            (Some(true), false, Some(_)) => {
                self.problems.push("DATABASE_URL: of use only with REDIS_URL; unset it, or set AUDIT=off".to_owned());
                None
            }
            (Some(true), false, None) => {
                for name in ["DATABASE_PASSWORD", "DATABASE_SSL"] {
                    if self.is_given(name) && self.problems.len() == known {
                        self.problems.push(format!("{name}: of use only with DATABASE_URL; unset it, or give both"));
                    }
                }
                None
            }
            (Some(false) | None, ..) => None,
        }
    }
}
