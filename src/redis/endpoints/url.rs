//! What a URL of Redis says (`access.rs` has all forms). What is wrong with one is said without any part of it, since
//! where its password ends is not known then. Does not know how a connection is made.

use std::path::PathBuf;

use crate::secret::Secret;

/// A URL that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedisUrl {
    pub(super) is_encrypted: bool,
    pub(in crate::redis) kind: DeploymentKind,
    /// Whom to ask first: the server, the Sentinels, or some nodes of a Cluster.
    pub(in crate::redis) seeds: Vec<EndpointAddress>,
    /// What servers that keep data ask for.
    pub(in crate::redis) login: Login,
    /// What Sentinels ask for.
    pub(super) sentinel_login: Login,
}

/// The user, the password and the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(in crate::redis) user: Option<String>,
    pub(in crate::redis) password: Option<Secret>,
    pub(super) database: i64,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EndpointAddress {
    Tcp { host: String, port: u16 },
    Socket(PathBuf),
}

/// How the servers of a deployment belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::redis) enum DeploymentKind {
    /// There is one.
    Single,
    /// Sentinels know which server is the master of this name.
    Sentinel { master: String },
    /// Every server knows who answers for which hash slot.
    Cluster,
}

/// How a password's special characters are written.
const ESCAPES: &str = "in a user or password, ? is written as %3F, # as %23, / as %2F, @ as %40, : as %3A";

impl RedisUrl {
    /// Reads a URL; `Err` says what is wrong with it, and never the password.
    pub(in crate::redis) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it does not begin with redis://")?;
        let (scheme, form) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!((scheme, form), ("redis" | "rediss", "" | "sentinel" | "cluster") | ("unix", "")) {
            return Err("it begins with none of redis://, rediss://, unix://, redis+sentinel:// and redis+cluster://"
                .to_owned());
        }
        if rest.contains('#') {
            return Err(format!("there is a # in it: {ESCAPES}"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if scheme == "unix" {
            return Self::socket(rest, query);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') {
            return Err(format!("there is an @ behind a /: {ESCAPES}"));
        }
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut login = Login::from_userinfo(user)?;
        let port = if form == "sentinel" { 26_379 } else { 6_379 };
        let seeds = match form {
            "" => vec![host(hosts, port)?],
            _ => hosts.split(',').map(|one| host(one, port)).collect::<Result<_, _>>()?,
        };
        let mut sentinel_login = Login::default();
        let kind = match form {
            "" => {
                known_only(query, &[])?;
                login.database = database(path.trim_matches('/'))?;
                DeploymentKind::Single
            }
            "sentinel" => {
                let (master, number) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err("it does not name the master: redis+sentinel://host,host/master".to_owned());
                }
                known_only(query, &["sentinel_user", "sentinel_password"])?;
                let value = |name| parameter(query, name).filter(|value| !value.is_empty()).map(unescaped).transpose();
                sentinel_login.user = value("sentinel_user")?;
                sentinel_login.password = value("sentinel_password")?.map(|text| Secret::new(&text));
                login.database = database(number.trim_matches('/'))?;
                DeploymentKind::Sentinel { master: master.to_owned() }
            }
            _ => {
                known_only(query, &[])?;
                if !matches!(path, "" | "0") {
                    return Err("a Cluster has no databases but 0".to_owned());
                }
                DeploymentKind::Cluster
            }
        };
        Ok(Self { is_encrypted: scheme == "rediss", kind, seeds, login, sentinel_login })
    }

    fn socket(path: &str, query: &str) -> Result<Self, String> {
        known_only(query, &["db", "user", "pass"])?;
        let path = path.strip_prefix("localhost").unwrap_or(path);
        if !path.starts_with('/') {
            return Err("it does not name a socket by its whole path: unix:///run/redis/redis.sock".to_owned());
        }
        // Where a form is encoded, a plus is a space.
        let value = |name| parameter(query, name).map(|text| unescaped(&text.replace('+', " "))).transpose();
        let password = value("pass")?.map(|text| Secret::new(&text));
        let login = Login { user: value("user")?, password, database: database(&value("db")?.unwrap_or_default())? };
        let seeds = vec![EndpointAddress::Socket(PathBuf::from(unescaped(path)?))];
        let (kind, sentinel_login) = (DeploymentKind::Single, Login::default());
        Ok(Self { is_encrypted: false, kind, seeds, login, sentinel_login })
    }
}

impl Login {
    /// The part before the `@`.
    fn from_userinfo(text: &str) -> Result<Self, String> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let part = |text: &str| (!text.is_empty()).then(|| unescaped(text)).transpose();
        Ok(Self { user: part(user)?, password: part(password)?.map(|text| Secret::new(&text)), database: 0 })
    }
}

/// A host, with its port or the usual one.
fn host(text: &str, port: u16) -> Result<EndpointAddress, String> {
    let (host, told) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_name = |next: char| next.is_alphanumeric() || "-._~:%".contains(next);
    if host.is_empty() || !host.chars().all(is_name) || !(told.is_empty() || told.starts_with(':')) {
        return Err(format!("it names no host, or one that is none: redis://user:password@host:6379; {ESCAPES}"));
    }
    let port = match told.strip_prefix(':').filter(|port| !port.is_empty()) {
        Some(port) => port.parse().map_err(|_| format!("its port is not a number from 1 to 65535; {ESCAPES}"))?,
        None => port,
    };
    Ok(EndpointAddress::Tcp { host: host.to_owned(), port })
}

fn database(text: &str) -> Result<i64, String> {
    match text {
        "" => Ok(0),
        number => number.parse().map_err(|_| "its database is not a number".to_owned()),
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let given = query.split('&').filter(|parameter| !parameter.is_empty());
    given.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    parameters(query).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// An unknown parameter may be a misspelt one, or the end of a password.
fn known_only(query: &str, known: &[&str]) -> Result<(), String> {
    if parameters(query).all(|(name, _)| known.contains(&name)) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(format!("behind its ? are parameters that are not known (known are {known}); {ESCAPES}"))
}

/// Percent signs with their digits as the bytes that they stand for; any other character is itself.
fn unescaped(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[2..];
            }
            None => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).map_err(|_| "what is written with % in it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RedisUrl;

    #[test]
    fn says_what_is_wrong_and_never_the_password() {
        for (url, why) in [
            ("localhost:6379", "redis://"),
            ("http://localhost", "redis://"),
            ("redis+ring://localhost", "redis+cluster://"),
            ("hunter2@localhost", "redis://"),
            ("hunter2://localhost", "redis://"),
            ("redis+hunter2://localhost", "redis://"),
            ("redis:/:hunter2@localhost", "redis://"),
            ("redis+sentinel://u:hunter2@a,b", "master"),
            ("redis+sentinel://u:hunter2@a,b/m?colour=red", "sentinel_user, sentinel_password"),
            ("redis+sentinel://u:hunter2@a,b/m?hunter2@c", "%3F"),
            ("redis+sentinel://u:hunter2@a,b/m/x", "database"),
            ("redis+sentinel://u:hun/hunter2@a,b/m", "%2F"),
            ("redis+cluster://u:hunter2@a,b/3", "databases"),
            ("redis+cluster://u:hunter2@a,b?db=3", "not known"),
            ("redis+cluster://u:hunter2@a,,b", "host"),
            ("redis+cluster://u:hunter2@a:port", "port"),
            ("redis://u:hunter2@a?protocol=resp3", "not known"),
            ("redis://:hun?hunter2@h", "%3F"),
            ("redis://:hun?hunter2%40h", "%3F"),
            ("redis://:hun?a=b&hunter2@h", "%3F"),
            ("redis://:hun/hunter2@h", "%2F"),
            ("redis://u:6379/hunter2@h", "%2F"),
            ("redis://:hun#hunter2@h", "%23"),
            ("redis://u:hunter2", "port"),
            ("redis://:hunter2:6379", "host"),
            ("redis://u:hunter2@", "host"),
            ("redis://u:hunter2@:6379", "host"),
            ("redis://u:hunter2@a b", "host"),
            ("redis://u:hunter2@[::1", "host"),
            ("redis://u:hunter2@a:70000", "port"),
            ("redis://u:hunter2@a:port", "port"),
            ("redis://u:hunter2@a/hunter2", "database"),
            ("redis://u:%ffhunter2@a", "UTF-8"),
            ("redis:///hunter2", "host"),
            ("redis://", "host"),
            ("unix://run/redis.sock?pass=hunter2", "whole path"),
            ("unix:///run/redis.sock?pass=hunter2&database=3", "db, user, pass"),
            ("unix:///run/redis.sock?pass=hunter2&db=three", "database"),
            ("unix:///run/redis.sock?pass=x&hunter2", "%3F"),
            ("rediss://u:hunter2@a#insecure", "%23"),
        ] {
            let error = RedisUrl::parse(url).expect_err(url);
            assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
        }
    }

    proptest! {
        /// Whatever is in a password that nobody escaped, and whatever comes of it.
        #[test]
        fn no_part_of_a_password_is_told(
            start in "(redis|rediss|unix|redis\\+sentinel|redis\\+cluster|postgres|)(:|:/|://)[u]?:?",
            parts in prop::collection::vec("[A-Z]{4,8}", 1..4),
            between in "[]?#/@:%&=,;\\[ +\\\\]{1,2}",
            end in "(@h|@h:6379|@h:port/0|@a,b/m|%40h|@|@h/0\\?x=1|)",
        ) {
            let url = format!("{start}{}{end}", parts.join(&between));
            if let Err(error) = RedisUrl::parse(&url) {
                for part in parts {
                    prop_assert!(!error.contains(&part[..4]), "{url}: {error}");
                }
            }
        }
    }
}
