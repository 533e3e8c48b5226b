//! Where Redis is, as a URL says it:
//!
//! ```text
//! redis://[user:password@]host[:6379][/database]          rediss:// with TLS
//! unix:///path/to/socket[?db=n&user=...&pass=...]
//! redis+sentinel://[user:password@]host[:26379],host.../master[/database]
//! redis+cluster://[user:password@]host[:6379],host...     rediss+... with TLS
//! ```
//!
//! User and password are those of the servers that keep the data; Sentinels of their own are told by `?sentinel_user=`
//! and `?sentinel_password=`. Does not know who of several servers answers for what.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redis::{ConnectionAddr, IntoConnectionInfo};
use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::tls;

use super::client::{At, Client};
use super::table::Node;

/// Which certificates are believed and shown, beside the system's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Whose certificates are believed; those that the system believes when it is not given (PEM).
    pub authority: Option<PathBuf>,
    /// What the server is shown: a certificate and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
}

/// One server, or those that know of others.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) topology: Topology,
    /// Whom to ask first: the server, the Sentinels, or some of a Cluster.
    pub(super) named: Vec<Client>,
    /// How to log in to any server that keeps data.
    template: Client,
}

/// How servers belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// There is one.
    Single,
    /// Sentinels know which server is the master of this name.
    Sentinel { master: String },
    /// Every server knows who answers for which hash slot.
    Cluster,
}

impl Address {
    /// Reads a URL; `Err` says what is wrong with it, and never the password.
    pub(super) fn parse(url: &str, certificates: &Certificates) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it does not begin with redis://")?;
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!((scheme, kind), ("redis" | "rediss", "" | "sentinel" | "cluster") | ("unix", "")) {
            return Err("it begins with none of redis://, rediss://, unix://, redis+sentinel:// and redis+cluster://"
                .to_owned());
        }
        if rest.contains('#') {
            return Err("there is a # in it, which is written as %23 in a password".to_owned());
        }
        let tls = match scheme {
            "rediss" => Some(Arc::new(encryption(certificates)?)),
            _ if *certificates == Certificates::default() => None,
            _ => return Err("certificates are given, and its scheme is without TLS: rediss://".to_owned()),
        };
        let one = |url: String| client(&url, tls.as_ref());
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if scheme == "unix" {
            known_only(query, &["db", "user", "pass"])?;
            return Self::single(one(url.to_owned())?);
        }
        if kind.is_empty() {
            known_only(query, &[])?;
            return Self::single(one(format!("redis://{rest}"))?);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (format!("{login}@"), hosts),
            None => (String::new(), authority),
        };
        let one = |login: &str, host: &str, database: &str| one(format!("redis://{login}{host}/{database}"));
        match kind {
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err("it does not name the master: redis+sentinel://host,host/master".to_owned());
                }
                let sentinel = sentinel_login(query)?;
                let named = hosts.split(',').map(|host| one(&sentinel, &with_port(host, 26_379), ""));
                let named = named.collect::<Result<_, String>>()?;
                let first = hosts.split(',').next().unwrap_or_default();
                let topology = Topology::Sentinel { master: master.to_owned() };
                Ok(Self { topology, named, template: one(&login, first, database)? })
            }
            _ => {
                known_only(query, &[])?;
                if !matches!(path, "" | "0") {
                    return Err("a Cluster has no databases but 0".to_owned());
                }
                let named = hosts.split(',').map(|host| one(&login, host, "")).collect::<Result<Vec<_>, _>>()?;
                let template = named.first().ok_or("it names no host")?.clone();
                Ok(Self { topology: Topology::Cluster, named, template })
            }
        }
    }

    fn single(client: Client) -> Result<Self, String> {
        Ok(Self { topology: Topology::Single, named: vec![client.clone()], template: client })
    }

    /// The server at a node, logged in to as the URL says.
    pub(super) fn at(&self, node: &Node) -> Client {
        let at = At::Tcp { host: node.host.clone(), port: node.port };
        Client { at, ..self.template.clone() }
    }
}

fn with_port(host: &str, port: u16) -> String {
    // An IPv6 address has colons of its own, in brackets.
    let has_port = host.rsplit_once(':').is_some_and(|(_, end)| !end.contains(']'));
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

fn sentinel_login(query: &str) -> Result<String, String> {
    known_only(query, &["sentinel_user", "sentinel_password"])?;
    let value = |name: &str| parameters(query).find(|(known, _)| *known == name).map_or("", |(_, value)| value);
    let (user, password) = (value("sentinel_user"), value("sentinel_password"));
    Ok(if user.is_empty() && password.is_empty() { String::new() } else { format!("{user}:{password}@") })
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let given = query.split('&').filter(|parameter| !parameter.is_empty());
    given.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

/// What nobody knows may have been meant to matter.
fn known_only(query: &str, known: &[&str]) -> Result<(), String> {
    match parameters(query).find(|(name, _)| !known.contains(name)) {
        Some((name, _)) => Err(format!("it has a parameter {name}, which is not known")),
        None => Ok(()),
    }
}

fn client(url: &str, tls: Option<&Arc<ClientConfig>>) -> Result<Client, String> {
    let info = url.into_connection_info().map_err(|error| error.to_string())?;
    let at = if let ConnectionAddr::Tcp(host, port) = info.addr() {
        At::Tcp { host: host.clone(), port: *port }
    } else if let ConnectionAddr::Unix(path) = info.addr() {
        At::Socket(path.clone())
    } else {
        return Err(format!("{} is no address", info.addr()));
    };
    Ok(Client { at, login: info.redis_settings().clone(), tls: tls.cloned() })
}

/// Who is believed, and what is shown.
fn encryption(certificates: &Certificates) -> Result<ClientConfig, String> {
    let authorities = tls::authorities(certificates.authority.as_deref())?;
    let config = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(authorities);
    let Some((certificate, key)) = &certificates.client else { return Ok(config.with_no_client_auth()) };
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let chain = tls::certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    config.with_client_auth_cert(chain, private).map_err(|error| wrong(key, &error))
}

#[cfg(test)]
mod tests {
    use super::{Address, At, Topology};

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(url, &Default::default())
    }

    fn hosts(address: &Address) -> Vec<(String, u16)> {
        let host = |client: &super::Client| match &client.at {
            At::Tcp { host, port } => (host.clone(), *port),
            other @ At::Socket(_) => panic!("{other:?}"),
        };
        address.named.iter().map(host).collect()
    }

    #[test]
    fn one_server() {
        for (url, at, user, password, database) in [
            ("redis://h", "h:6379", None, None, 0),
            ("rediss://u:p%23%40@h:7000/3", "h:7000", Some("u"), Some("p#@"), 3),
            ("redis://:p@[::1]:7000", "[::1]:7000", None, Some("p"), 0),
            ("unix:///run/redis.sock", "/run/redis.sock", None, None, 0),
            ("unix:///run/redis.sock?db=2&user=u&pass=p", "/run/redis.sock", Some("u"), Some("p"), 2),
        ] {
            let address = parse(url).expect(url);
            let [client] = &address.named[..] else { panic!("{address:?}") };
            assert_eq!((address.topology, client.to_string().as_str()), (Topology::Single, at), "{url}");
            let login = (client.login.username(), client.login.password(), client.login.db());
            assert_eq!(login, (user, password, database), "{url}");
            assert_eq!(client.tls.is_some(), url.starts_with("rediss"), "{url}");
        }
    }

    #[test]
    fn a_master_that_sentinels_know() {
        let url = "rediss+sentinel://u:p@a,[::1]:7000,c:26380/the-master/2?sentinel_password=q";
        let address = parse(url).expect(url);
        assert_eq!(address.topology, Topology::Sentinel { master: "the-master".to_owned() });
        let expected = [("a".to_owned(), 26_379), ("::1".to_owned(), 7_000), ("c".to_owned(), 26_380)];
        assert_eq!(hosts(&address), expected);
        let login = |client: &super::Client| {
            let login = &client.login;
            (login.username().map(str::to_owned), login.password().map(str::to_owned), login.db())
        };
        assert_eq!(login(&address.named[0]), (None, Some("q".to_owned()), 0));
        let node = super::Node { host: "m".to_owned(), port: 7_001 };
        let master = address.at(&node);
        assert_eq!(login(&master), (Some("u".to_owned()), Some("p".to_owned()), 2));
        assert_eq!(master.at, At::Tcp { host: "m".to_owned(), port: 7_001 });
        assert!(master.tls.is_some() && address.named.iter().all(|sentinel| sentinel.tls.is_some()));
    }

    #[test]
    fn a_cluster() {
        let address = parse("redis+cluster://a:7000,b,c:7002").expect("a URL");
        assert_eq!(address.topology, Topology::Cluster);
        assert_eq!(hosts(&address), [("a".to_owned(), 7_000), ("b".to_owned(), 6_379), ("c".to_owned(), 7_002)]);
    }

    #[test]
    fn says_what_is_wrong_and_never_the_password() {
        for (url, why) in [
            ("localhost:6379", "redis://"),
            ("http://localhost", "redis://"),
            ("redis+ring://localhost", "redis+cluster://"),
            ("redis+sentinel://u:hunter2@a,b", "master"),
            ("redis+sentinel://u:hunter2@a,b/m?colour=red", "colour"),
            ("redis+sentinel://u:hunter2@a,b/m/x", "atabase"),
            ("redis+cluster://u:hunter2@a,b/3", "databases"),
            ("redis+cluster://u:hunter2@a,b?db=3", "db"),
            ("redis://u:hunter2@a?protocol=resp3", "protocol"),
            ("unix:///run/redis.sock?pass=hunter2&database=3", "database"),
            ("rediss://u:hunter2@a#insecure", "#"),
            ("redis+cluster://u:hunter2@a:port", ""),
            ("redis://u:hunter2@a:port", ""),
        ] {
            let error = parse(url).expect_err(url);
            assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn certificates_must_be_there_and_of_use() {
        let certificates = super::Certificates { authority: Some("/nowhere/ca.pem".into()), client: None };
        let error = Address::parse("rediss://h", &certificates).expect_err("there is no such file");
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
        let error = Address::parse("redis://h", &certificates).expect_err("they are of no use");
        assert!(error.contains("rediss://"), "{error}");
    }
}
