//! What the server can be told: one table of settings, each with a flag and an environment variable, read
//! through a function so that nothing here touches the environment. Does not know what the values do.

mod settings;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::client_address::TrustedProxies;
use crate::engine::OnTimeout;
use crate::redis::{Certificates, Server};
use crate::writer;

pub use settings::{SETTINGS, Setting};

/// Partitions with a Cluster, unless it is said otherwise.
const CLUSTER_PARTITIONS: u16 = 32;

/// All settings, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub address: Address,
    /// What all paths begin with; empty when nothing.
    pub base_path: String,
    /// How much to log.
    pub log_level: tracing::level_filters::LevelFilter,
    /// How to log.
    pub log_format: LogFormat,
    /// Whose pages may read answers.
    pub cors_origin: String,
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
    /// Whose word on who asks is taken.
    pub trusted_proxies: TrustedProxies,
    /// Where this process keeps its sessions over a restart; `None` is nowhere.
    pub data_dir: Option<PathBuf>,
    /// Where sessions are kept; `None` is in this process.
    pub redis: Option<Redis>,
    /// Where changes are written down; `None` is nowhere.
    pub audit: Option<Audit>,
    /// How old a session's last change may be for it to come back.
    pub recovery_age_max: Duration,
    /// How long a deleted session is remembered.
    pub tombstone_ttl: Duration,
    /// Sessions in this process at most.
    pub sessions_max: usize,
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
    /// How often a WebSocket client must show that it is there. The contract's 5 s: not a setting.
    pub heartbeat: Duration,
    /// How long a WebSocket client may leave a message unread. Not a setting either.
    pub write_timeout: Duration,
}

/// Where in Redis sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// The server, or those that know it.
    pub url: String,
    /// Which certificates are believed and shown.
    pub certificates: Certificates,
    /// What names begin with.
    pub prefix: String,
    /// How many parts they are divided into.
    pub partitions: u16,
    /// How many replicas must have a change before it is acknowledged.
    pub replicas_min: u32,
}

/// Where changes are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The database.
    pub url: String,
    /// How many threads write.
    pub threads: usize,
    /// How many bytes may wait.
    pub queue_bytes_max: u64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For whoever is at the other end.
    Auto,
}

impl Config {
    /// Reads every setting through `lookup`; reports everything that is wrong at once, a line each.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let redis = reader.redis();
        let audit = reader.audit(redis.is_some());
        let data_dir = reader.data_dir();
        let host = reader.parse("HOST", "an IP address, localhost, or unix: and a path", |text| match text {
            "localhost" => Some(Host::Ip(IpAddr::from([127, 0, 0, 1]))),
            other => match other.strip_prefix("unix:") {
                Some(path) => path.starts_with('/').then(|| Host::Unix(path.into())),
                None => other.parse().ok().map(Host::Ip),
            },
        });
        let port = reader.parse("PORT", "a port from 0 to 65535", |text| text.parse::<u16>().ok());
        let config = Self {
            address: match host.unwrap_or(Host::Ip(IpAddr::from([127, 0, 0, 1]))) {
                Host::Ip(ip) => Address::Tcp(SocketAddr::new(ip, port.unwrap_or_default())),
                Host::Unix(path) => Address::Unix(path),
            },
            base_path: reader
                .parse(
                    "BASE_PATH",
                    "a path such as /sync, of letters, digits, dots, hyphens and underscores",
                    base_path,
                )
                .unwrap_or_default(),
            log_level: reader
                .parse("LOG_LEVEL", "off, error, warn, info, debug or trace", |text| text.parse().ok())
                .unwrap_or(tracing::level_filters::LevelFilter::INFO),
            log_format: reader
                .parse("LOG_FORMAT", "text, json or auto", |text| match text {
                    "text" => Some(LogFormat::Text),
                    "json" => Some(LogFormat::Json),
                    "auto" => Some(LogFormat::Auto),
                    _ => None,
                })
                .unwrap_or(LogFormat::Auto),
            cors_origin: reader
                .parse("CORS_ORIGIN", "an origin such as https://example.org, or *", origin)
                .unwrap_or_default(),
            rate_limit_switch: reader.count("RATE_LIMIT_SWITCH", 0),
            rate_limit_general: reader.count("RATE_LIMIT_GENERAL", 0),
            default_on_timeout: reader
                .parse("DEFAULT_ON_TIMEOUT", "expire, advance or notify", |text| {
                    OnTimeout::ALL.into_iter().find(|choice| choice.name() == text)
                })
                .unwrap_or_default(),
            connections_max: reader.count("MAX_CONNECTIONS", 1),
            connections_of_address_max: reader.count("MAX_CONNECTIONS_PER_ADDRESS", 0),
            trusted_proxies: reader
                .parse("TRUSTED_PROXIES", "addresses and networks such as 10.0.0.0/8, between commas", |text| {
                    text.parse().ok()
                })
                .unwrap_or_default(),
            data_dir,
            redis,
            audit,
            recovery_age_max: Duration::from_secs(u64::from(reader.count("RECOVERY_MAX_AGE_S", 1))),
            tombstone_ttl: Duration::from_secs(u64::from(reader.count("TOMBSTONE_TTL_S", 1))),
            sessions_max: reader.count("MAX_SESSIONS", 1) as usize,
            idle_timeout: reader.millis("IDLE_TIMEOUT_MS"),
            head_timeout: reader.millis("HEADER_TIMEOUT_MS"),
            body_timeout: reader.millis("BODY_TIMEOUT_MS"),
            request_timeout: reader.millis("REQUEST_TIMEOUT_MS"),
            drain: reader.seconds("DRAIN_S"),
            heartbeat: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
        };
        if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At an address.
    Tcp(SocketAddr),
    /// At a path.
    Unix(PathBuf),
}

enum Host {
    Ip(IpAddr),
    Unix(PathBuf),
}

impl Address {
    /// The address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What all paths begin with; a slash at the end makes no difference.
fn base_path(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_segment =
        |segment: &str| !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(is_plain);
    let is_path = |path: &str| path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment));
    (path.is_empty() || is_path(path)).then(|| path.to_owned())
}

/// What browsers send as Origin (RFC 6454, section 6.2), or a star.
fn origin(text: &str) -> Option<String> {
    let is_tuple = |(scheme, host): (&str, &str)| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#,".contains(&byte);
        !scheme.is_empty() && !host.is_empty() && scheme.bytes().chain(host.bytes()).all(plain)
    };
    (text == "*" || text == "null" || text.split_once("://").is_some_and(is_tuple)).then(|| text.to_owned())
}

struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// An empty value is none.
    fn parse<T>(&mut self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let given = (self.lookup)(name).filter(|value| !value.is_empty());
        let default = || SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.default.to_owned());
        let text = given.or_else(default)?;
        let value = parse(&text);
        if value.is_none() {
            self.problems.push(format!("{name}: {text:?} is not {expected}"));
        }
        value
    }

    fn given(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// Sessions live in one place.
    fn data_dir(&mut self) -> Option<PathBuf> {
        let dir = self.given("DATA_DIR")?;
        if self.given("REDIS_URL").is_some() {
            self.problems.push("DATA_DIR: sessions are kept there or in Redis; unset it or REDIS_URL".to_owned());
        }
        Some(PathBuf::from(dir))
    }

    /// A file that can be read.
    fn file(&mut self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.given(name)?);
        if let Err(error) = std::fs::File::open(&path) {
            self.problems.push(format!("{name}: {}: {error}", path.display()));
        }
        Some(path)
    }

    fn redis(&mut self) -> Option<Redis> {
        let prefix = self.given("REDIS_PREFIX").unwrap_or_default();
        let given = self.given("PARTITIONS").is_some();
        let partitions = self.parse("PARTITIONS", "a whole number from 1 to 999", |text| {
            text.parse().ok().filter(|count| (1..=999).contains(count))
        });
        let mut partitions = partitions.unwrap_or(1);
        let replicas_min = self.parse("REDIS_REPLICAS_MIN", "a whole number from 0 to 100", |text| {
            text.parse().ok().filter(|count| (0..=100).contains(count))
        });
        let known = self.problems.len();
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
        let certificates = Certificates { authority, client };
        let url = self.given("REDIS_URL")?;
        // What cannot be read was told already.
        let readable = if self.problems.len() == known { certificates.clone() } else { Certificates::default() };
        match Server::parse(&url, &readable, Duration::ZERO) {
            Ok(server) if server.is_cluster() && !given => partitions = CLUSTER_PARTITIONS,
            Ok(server) if server.is_cluster() && partitions < 2 => {
                self.problems.push("PARTITIONS: a Cluster needs 2 or more".to_owned());
            }
            Ok(_) => {}
            Err(why) => self.problems.push(format!("REDIS_URL: {why}")),
        }
        Some(Redis { url, certificates, prefix, partitions, replicas_min: replicas_min? })
    }

    /// To go without an audit must be said; to ignore what asks for one would lose it.
    fn audit(&mut self, is_shared: bool) -> Option<Audit> {
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
        let url = self.given("DATABASE_URL");
        if let Some(Err(why)) = url.as_deref().map(writer::Server::parse) {
            self.problems.push(format!("DATABASE_URL: {why}"));
        }
        match (is_on, is_shared, url) {
            (Some(true), true, Some(url)) => Some(Audit { url, threads: threads?, queue_bytes_max: queue_bytes_max? }),
            (Some(true), true, None) => {
                let what = "every change is written there; without it, say that you know with AUDIT=off";
                self.problems.push(format!("DATABASE_URL: missing: {what}"));
                None
            }
            (Some(true), false, Some(_)) => {
                self.problems.push("DATABASE_URL: of use only with REDIS_URL; unset it, or set AUDIT=off".to_owned());
                None
            }
            (Some(_) | None, ..) => None,
        }
    }

    fn count(&mut self, name: &str, least: u32) -> u32 {
        const MOST: u32 = 100_000_000;
        let expected = format!("a whole number from {least} to {MOST}");
        let within = |count: &u32| (least..=MOST).contains(count);
        self.parse(name, &expected, |text| text.parse::<u32>().ok().filter(within)).unwrap_or_default()
    }

    fn seconds(&mut self, name: &str) -> Duration {
        const MOST: u64 = 3_600;
        let expected = format!("a whole number of seconds from 0 to {MOST}");
        let seconds = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(|s| *s <= MOST));
        Duration::from_secs(seconds.unwrap_or_default())
    }

    fn millis(&mut self, name: &str) -> Duration {
        const MOST: u64 = 3_600_000;
        let expected = format!("a whole number of milliseconds from 1 to {MOST}");
        let within = |ms: &u64| (1..=MOST).contains(ms);
        let ms = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(within));
        Duration::from_millis(ms.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, SETTINGS};

    fn read(given: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        Config::read(|name| given.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn every_default_is_valid() {
        let config = read(&[]).expect("defaults are valid");
        assert_eq!(config.address.to_string(), "127.0.0.1:3000");
        assert_eq!(config.rate_limit_switch, 10);
        let given: Vec<_> = SETTINGS.iter().map(|setting| (setting.name, setting.default)).collect();
        assert_eq!(format!("{:?}", read(&given).expect("defaults can be given")), format!("{config:?}"));
    }

    #[test]
    fn reports_every_problem_at_once() {
        let given: Vec<_> = SETTINGS.iter().map(|setting| (setting.name, "what/ever?")).collect();
        let problems = read(&given).expect_err("nothing is valid");
        let mut names: Vec<_> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
        let mut all: Vec<_> =
            SETTINGS.iter().map(|setting| setting.name).filter(|name| *name != "REDIS_PREFIX").collect();
        names.sort_unstable();
        all.sort_unstable();
        assert_eq!(names, all);
    }

    #[test]
    fn an_audit_is_done_without_only_when_that_was_said() {
        let (redis, database) = (("REDIS_URL", "redis://localhost"), ("DATABASE_URL", "postgres://localhost/x"));
        assert!(read(&[redis]).expect_err("there is no audit")[0].starts_with("DATABASE_URL: missing"));
        assert!(read(&[database]).expect_err("nothing is queued")[0].starts_with("DATABASE_URL: of use only"));
        let config = read(&[redis, ("AUDIT", "off")]).expect("that is honest");
        assert_eq!(config.redis.map(|redis| redis.url).as_deref(), Some("redis://localhost"));
        assert_eq!(config.audit, None);
        assert_eq!(read(&[redis, database, ("AUDIT", "off")]).expect("that is honest").audit, None);
        let config = read(&[redis, database, ("DATABASE_POOL_MAX", "3")]).expect("that is whole");
        assert_eq!(config.audit.map(|audit| (audit.url, audit.threads)), Some((database.1.to_owned(), 3)));
        assert!(read(&[("REDIS_URL", ""), ("PORT", "")]).is_ok());
    }

    #[test]
    fn keeps_sessions_in_one_place() {
        let dir = ("DATA_DIR", "/var/lib/synckairos");
        let config = read(&[dir]).expect("that is one");
        assert_eq!(config.data_dir.as_deref(), Some(std::path::Path::new(dir.1)));
        assert_eq!(read(&[("DATA_DIR", "")]).expect("that is none").data_dir, None);
        let problems = read(&[dir, ("REDIS_URL", "redis://localhost"), ("AUDIT", "off")]).expect_err("those are two");
        assert_eq!(problems, ["DATA_DIR: sessions are kept there or in Redis; unset it or REDIS_URL"]);
    }

    #[test]
    fn holds_values_to_their_limits() {
        for (name, value, valid) in [
            ("HOST", "::1", true),
            ("HOST", "localhost", true),
            ("HOST", "example.org", false),
            ("HOST", "unix:/run/synckairos.sock", true),
            ("HOST", "unix:synckairos.sock", false),
            ("BASE_PATH", "/sync", true),
            ("BASE_PATH", "/a/b.c/", true),
            ("BASE_PATH", "/", true),
            ("BASE_PATH", "sync", false),
            ("BASE_PATH", "/a//b", false),
            ("BASE_PATH", "/..", false),
            ("BASE_PATH", "/a?b", false),
            ("DRAIN_S", "0", true),
            ("DRAIN_S", "3601", false),
            ("PORT", "0", true),
            ("PORT", "65536", false),
            ("RATE_LIMIT_SWITCH", "0", true),
            ("RATE_LIMIT_SWITCH", "-1", false),
            ("REDIS_REPLICAS_MIN", "2", true),
            ("REDIS_REPLICAS_MIN", "101", false),
            ("MAX_CONNECTIONS", "0", false),
            ("MAX_CONNECTIONS_PER_ADDRESS", "0", true),
            ("TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32,192.0.2.1", true),
            ("TRUSTED_PROXIES", "10.0.0.1/8", false),
            ("TRUSTED_PROXIES", "proxy.example.org", false),
            ("HEADER_TIMEOUT_MS", "0", false),
            ("LOG_LEVEL", "DEBUG", true),
            ("CORS_ORIGIN", "https://example.org", true),
            ("CORS_ORIGIN", "https://example.org/", false),
            ("CORS_ORIGIN", "example.org", false),
            ("CORS_ORIGIN", "https://a\nb", false),
        ] {
            assert_eq!(read(&[(name, value)]).is_ok(), valid, "{name}={value}");
        }
    }
}
