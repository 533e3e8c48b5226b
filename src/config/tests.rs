//! Every setting: its default, its limits, the file it may stand in, and that all problems are reported at once.

use std::path::PathBuf;

use super::{Config, SETTINGS, SettingKind, has_password};
use crate::secret::SecretSource;

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
    // Any text may be a prefix, a password, or a name.
    let any = ["REDIS_PREFIX", "REDIS_PASSWORD", "DATABASE_PASSWORD", "TOKEN_ISSUER", "TOKEN_AUDIENCE"];
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
    assert_eq!(config.redis.map(|redis| redis.access.url), Some(SecretSource::given("redis://localhost")));
    assert_eq!(config.audit, None);
    assert_eq!(read(&[redis, database, ("AUDIT", "off")]).expect("that is honest").audit, None);
    let config = read(&[redis, database, ("DATABASE_POOL_MAX", "3")]).expect("that is whole");
    assert_eq!(config.audit.map(|audit| (audit.access.url, audit.threads)), Some((SecretSource::given(database.1), 3)));
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
        let SettingKind::File = setting.kind else {
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
