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

use std::path::PathBuf;

use redis::io::tcp::TcpSettings;
use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

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
    template: ConnectionInfo,
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
        let tls = Tls::load(certificates)?;
        let (scheme, rest) = url.split_once("://").ok_or("it does not begin with redis://")?;
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!((scheme, kind), ("redis" | "rediss", "" | "unix" | "sentinel" | "cluster") | ("unix", "")) {
            return Err("it begins with none of redis://, rediss://, unix://, redis+sentinel:// and redis+cluster://"
                .to_owned());
        }
        if !matches!(kind, "sentinel" | "cluster") {
            let template = tls.applied(info(url)?)?;
            return Ok(Self { topology: Topology::Single, named: vec![client(template.clone())?], template });
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (format!("{login}@"), hosts),
            None => (String::new(), authority),
        };
        let one = |login: &str, host: &str, database: &str| {
            tls.applied(info(&format!("{scheme}://{login}{host}/{database}"))?)
        };
        match kind {
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err("it does not name the master: redis+sentinel://host,host/master".to_owned());
                }
                let sentinel = sentinel_login(query)?;
                let named = hosts.split(',').map(|host| client(one(&sentinel, &with_port(host, 26_379), "")?));
                let named = named.collect::<Result<_, String>>()?;
                let first = hosts.split(',').next().unwrap_or_default();
                let topology = Topology::Sentinel { master: master.to_owned() };
                Ok(Self { topology, named, template: one(&login, first, database)? })
            }
            _ => {
                if !matches!(path, "" | "0") {
                    return Err("a Cluster has no databases but 0".to_owned());
                }
                let named = hosts.split(',').map(|host| one(&login, host, "")).collect::<Result<Vec<_>, _>>()?;
                let template = named.first().ok_or("it names no host")?.clone();
                let named = named.into_iter().map(client).collect::<Result<_, _>>()?;
                Ok(Self { topology: Topology::Cluster, named, template })
            }
        }
    }

    /// The server at a node, logged in to as the URL says.
    pub(super) fn at(&self, node: &Node) -> Result<Client, String> {
        let (host, port) = (node.host.clone(), node.port);
        let address = if let ConnectionAddr::TcpTls { insecure, tls_params, .. } = self.template.addr() {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        client(self.template.clone().set_addr(address))
    }
}

/// Whom a client leads to, when it is not a socket.
pub(super) fn host(client: &Client) -> Option<&str> {
    let address = client.get_connection_info().addr();
    if let ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } = address { Some(host) } else { None }
}

fn with_port(host: &str, port: u16) -> String {
    // An IPv6 address has colons of its own, in brackets.
    let has_port = host.rsplit_once(':').is_some_and(|(_, end)| !end.contains(']'));
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

fn sentinel_login(query: &str) -> Result<String, String> {
    let (mut user, mut password) = ("", "");
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sentinel_user", value)) => user = value,
            Some(("sentinel_password", value)) => password = value,
            Some((name, _)) => return Err(format!("it has a parameter {name}, which is not known")),
            None => return Err(format!("it has a parameter {parameter}, which is not known")),
        }
    }
    Ok(if user.is_empty() && password.is_empty() { String::new() } else { format!("{user}:{password}@") })
}

fn info(url: &str) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|error| error.to_string())?;
    Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

fn client(info: ConnectionInfo) -> Result<Client, String> {
    Client::open(info).map_err(|error| error.to_string())
}

/// What is shown and believed on a connection.
struct Tls(Option<TlsCertificates>);

impl Tls {
    fn load(certificates: &Certificates) -> Result<Self, String> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let root_cert = certificates.authority.as_ref().map(read).transpose()?;
        let client_tls = match &certificates.client {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
            }
            None => None,
        };
        let is_given = root_cert.is_some() || client_tls.is_some();
        Ok(Self(is_given.then_some(TlsCertificates { client_tls, root_cert })))
    }

    fn applied(&self, info: ConnectionInfo) -> Result<ConnectionInfo, String> {
        match (&self.0, info.addr()) {
            (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
                let client = Client::build_with_tls(info, certificates.clone()).map_err(|error| error.to_string())?;
                Ok(client.get_connection_info().clone())
            }
            (Some(_), _) => Err("certificates are given, and its scheme is without TLS: rediss://".to_owned()),
            (None, _) => Ok(info),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::{Address, Topology};

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(url, &Default::default())
    }

    fn hosts(address: &Address) -> Vec<(String, u16)> {
        let host = |client: &redis::Client| match client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), *port),
            other => panic!("{other:?}"),
        };
        address.named.iter().map(host).collect()
    }

    #[test]
    fn one_server() {
        for url in ["redis://h", "rediss://u:p@h:7000/3", "redis://:p@[::1]:7000", "unix:///run/redis.sock?db=2"] {
            assert_eq!(parse(url).expect(url).topology, Topology::Single, "{url}");
        }
    }

    #[test]
    fn a_master_that_sentinels_know() {
        let url = "rediss+sentinel://u:p@a,[::1]:7000,c:26380/the-master/2?sentinel_password=q";
        let address = parse(url).expect(url);
        assert_eq!(address.topology, Topology::Sentinel { master: "the-master".to_owned() });
        let expected = [("a".to_owned(), 26_379), ("::1".to_owned(), 7_000), ("c".to_owned(), 26_380)];
        assert_eq!(hosts(&address), expected);
        let login = |client: &redis::Client| {
            let settings = client.get_connection_info().redis_settings().clone();
            (settings.username().map(str::to_owned), settings.password().map(str::to_owned), settings.db())
        };
        assert_eq!(login(&address.named[0]), (None, Some("q".to_owned()), 0));
        let node = super::Node { host: "m".to_owned(), port: 7_001 };
        let master = address.at(&node).expect("a node");
        assert_eq!(login(&master), (Some("u".to_owned()), Some("p".to_owned()), 2));
        let ConnectionAddr::TcpTls { host, port, .. } = master.get_connection_info().addr() else { panic!("no TLS") };
        assert_eq!((host.as_str(), *port), ("m", 7_001));
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
    }
}
