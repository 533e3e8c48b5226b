//! What the server can be told: one table of settings, each with a flag and an environment variable, read
//! through a function so that nothing here touches the environment. Does not know what the values do.

mod reader;
mod settings;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::client_address::TrustedProxies;
use crate::engine::OnTimeout;
use crate::postgres;
use crate::redis::RedisAccess;

use reader::Reader;

pub use settings::{HEADINGS, Kind, SETTINGS, Setting};

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

/// Where in Redis sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// The server, or those that know it, and how to get in.
    pub access: RedisAccess,
    /// What names begin with.
    pub prefix: String,
    /// How many parts they are divided into.
    pub partitions: u16,
    /// How many replicas must have a change before it is acknowledged.
    pub replicas_min: u32,
    /// In which format states are to be written.
    pub record_format: u8,
}

/// Where changes are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The database, and how to get in.
    pub access: postgres::PostgresAccess,
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
        let mut reader = Reader::new(lookup);
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
        let (log_level, log_format) = reader.logging();
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
            log_level,
            log_format,
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
            history_age_max: Some(reader.count("HISTORY_DAYS", 0))
                .filter(|days| *days > 0)
                .map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
            recovery_age_max: Duration::from_secs(u64::from(reader.count("RECOVERY_MAX_AGE_S", 1))),
            tombstone_ttl: Duration::from_secs(u64::from(reader.count("TOMBSTONE_TTL_S", 1))),
            sessions_max: reader.count("MAX_SESSIONS", 1) as usize,
            sessions_bytes_max: reader
                .parse("MAX_SESSIONS_BYTES", "auto, or a whole number of bytes, at least 1048576", |text| match text {
                    "auto" => Some(None),
                    bytes => bytes.parse().ok().filter(|bytes| *bytes >= 1 << 20).map(Some),
                })
                .flatten(),
            bodies_bytes_max: reader
                .parse("MAX_BODIES_BYTES", "a whole number of bytes, at least 4194304", |text| {
                    text.parse().ok().filter(|bytes| *bytes >= 4 << 20)
                })
                .unwrap_or_default(),
            lifetime_pending: reader.lifetime("LIFETIME_PENDING_S"),
            lifetime_idle: reader.lifetime("LIFETIME_IDLE_S"),
            lifetime_ended: reader.lifetime("LIFETIME_ENDED_S"),
            idle_timeout: reader.millis("IDLE_TIMEOUT_MS"),
            head_timeout: reader.millis("HEADER_TIMEOUT_MS"),
            body_timeout: reader.millis("BODY_TIMEOUT_MS"),
            request_timeout: reader.millis("REQUEST_TIMEOUT_MS"),
            drain: reader.seconds("DRAIN_S"),
            rate_limit_answer_bytes: reader.count("RATE_LIMIT_ANSWER_BYTES", 0),
            outbox_bytes_max: reader
                .parse("MAX_OUTBOX_BYTES", "a whole number of bytes, at least 1048576", |text| {
                    text.parse().ok().filter(|bytes| *bytes >= 1_048_576)
                })
                .unwrap_or_default(),
            heartbeat: reader.millis("HEARTBEAT_MS"),
            write_timeout: Duration::from_secs(10),
        };
        reader.end(config)
    }

    /// Reads what concerns Redis, for whoever needs nothing else.
    pub fn read_redis(lookup: impl Fn(&str) -> Option<String>) -> Result<Redis, Vec<String>> {
        let mut reader = Reader::new(lookup);
        let redis = reader.redis();
        reader.end(redis)?.ok_or_else(|| vec!["REDIS_URL: missing: that is what is asked".to_owned()])
    }

    /// Reads where the database is, for whoever needs nothing else.
    pub fn read_database(lookup: impl Fn(&str) -> Option<String>) -> Result<postgres::PostgresAccess, Vec<String>> {
        let mut reader = Reader::new(lookup);
        let database = reader.database();
        reader.end(database)?.ok_or_else(|| vec!["DATABASE_URL: missing: that is what is asked".to_owned()])
    }

    /// Reads how to log.
    pub fn read_logging(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<(tracing::level_filters::LevelFilter, LogFormat), Vec<String>> {
        let mut reader = Reader::new(lookup);
        let logging = reader.logging();
        reader.end(logging)
    }
}

/// Whether a URL holds a password, as far as can be seen.
pub fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let in_login = rest.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'));
    in_login || query.split('&').any(|parameter| parameter.contains("pass") && !parameter.ends_with('='))
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Config, Kind, SETTINGS, has_password};
    use crate::secret::Source;

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
        // Any text may be a prefix, or a password.
        let any = ["REDIS_PREFIX", "REDIS_PASSWORD", "DATABASE_PASSWORD"];
        let mut all: Vec<_> = SETTINGS.iter().map(|setting| setting.name).filter(|name| !any.contains(name)).collect();
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
        assert_eq!(config.redis.map(|redis| redis.access.url), Some(Source::given("redis://localhost")));
        assert_eq!(config.audit, None);
        assert_eq!(read(&[redis, database, ("AUDIT", "off")]).expect("that is honest").audit, None);
        let config = read(&[redis, database, ("DATABASE_POOL_MAX", "3")]).expect("that is whole");
        assert_eq!(config.audit.map(|audit| (audit.access.url, audit.threads)), Some((Source::given(database.1), 3)));
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

    /// A file that is removed with the test.
    struct Text(PathBuf);

    impl Text {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("synckairos-config-{}-{name}", std::process::id()));
            std::fs::write(&path, text).expect("it can be written");
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().expect("it is text")
        }
    }

    impl Drop for Text {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn every_setting_but_those_that_name_a_file_may_stand_in_one() {
        let defaults = format!("{:?}", read(&[]).expect("defaults are valid"));
        for setting in SETTINGS {
            let name = format!("{}_FILE", setting.name);
            let nowhere = read(&[(&name, "/nowhere/at-all")]);
            let Kind::File = setting.kind else {
                let problems = nowhere.expect_err(&name);
                assert!(problems[0].starts_with(&format!("{name}: /nowhere/at-all: ")), "{problems:?}");
                let both = read(&[(&name, "/nowhere/at-all"), (setting.name, "x")]).expect_err("those are two");
                let both = both.iter().find(|problem| problem.starts_with(&format!("{name}: "))).expect("it is told");
                assert!(both.contains("unset one"), "{both}");
                assert_eq!(format!("{:?}", read(&[(&name, " ")]).expect("an empty one is none")), defaults);
                continue;
            };
            assert!(nowhere.is_ok(), "{name} is nothing");
        }
    }

    #[test]
    fn white_space_around_a_value_is_none_of_it() {
        let port = Text::new("port", "\n 3001\r\n");
        let config = read(&[("PORT_FILE", port.path()), ("HOST", " ::1\t"), ("REDIS_PREFIX", "  "), ("AUDIT", "off ")]);
        assert_eq!(config.expect("that is valid").address.to_string(), "[::1]:3001");
        let wrong = Text::new("wrong", " many ");
        let problems = read(&[("MAX_CONNECTIONS_FILE", wrong.path())]).expect_err("that is none");
        assert!(problems[0].starts_with("MAX_CONNECTIONS: \"many\" is not "), "{problems:?}");
        let empty = Text::new("empty", "\n");
        let problems = read(&[("PORT_FILE", empty.path())]).expect_err("that is none");
        assert!(problems[0].starts_with("PORT_FILE: ") && problems[0].ends_with("it is empty"), "{problems:?}");
    }

    #[test]
    fn secrets_are_told_nowhere() {
        let (url, password) = (Text::new("url", "redis://u@localhost"), Text::new("password", "hunter2\n"));
        let database = ("DATABASE_URL", "postgres://u:hunter2@localhost/x");
        let given = [("REDIS_URL_FILE", url.path()), ("REDIS_PASSWORD_FILE", password.path()), database];
        let config = read(&given).expect("that is whole");
        assert!(!format!("{config:?} {config:#?}").contains("hunter2"), "{config:?}");
        let redis = config.redis.expect("it is given").access;
        let source = redis.password.expect("it is given");
        assert!(source.may_change() && source.now().reveal() == "hunter2");

        let redis = ("REDIS_URL", "redis://:hunter2@localhost");
        for (given, name) in [
            (&[redis, ("REDIS_PASSWORD", "hunter3"), ("AUDIT", "off")][..], "REDIS_URL: "),
            (&[("REDIS_PASSWORD", "hunter2")], "REDIS_PASSWORD: "),
            (&[("DATABASE_PASSWORD", "hunter2")], "DATABASE_PASSWORD: "),
            (&[("DATABASE_SSL", "true")], "DATABASE_SSL: "),
            (&[redis, database, ("DATABASE_PASSWORD", "hunter3")], "DATABASE_URL: "),
            (&[redis, ("DATABASE_URL", "postgres://h/x?sslmode=disable"), ("DATABASE_SSL", "true")], "DATABASE_URL: "),
        ] {
            let problems = read(given).expect_err(name);
            assert!(problems[0].starts_with(name) && problems.len() == 1, "{problems:?}");
            assert!(!problems[0].contains("hunter"), "{problems:?}");
        }
        assert!(read(&[redis, ("REDIS_PASSWORD", "hunter2"), ("AUDIT", "off")]).is_ok(), "they agree");
    }

    #[test]
    fn a_password_in_a_url_is_seen() {
        for (url, is_there) in [
            ("redis://:p@h", true),
            ("redis://u:p@h", true),
            ("postgres://u@h/x?password=p", true),
            ("unix:///run/redis.sock?pass=p", true),
            ("redis+sentinel://a,b/m?sentinel_password=p", true),
            ("redis://u@h:6379/0", false),
            ("postgres://h:5432/x?sslmode=require", false),
            ("unix:///run/redis.sock?db=2", false),
        ] {
            assert_eq!(has_password(url), is_there, "{url}");
        }
    }
}
