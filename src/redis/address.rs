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
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tracing::warn;

use crate::secret::Source;
use crate::tls;

use super::client::{At, Client, Login};
use super::link::LinkError;
use super::table::Node;
use super::url::{Topology, Url};

/// What it takes to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where the servers are, and who comes; all forms stand above.
    pub url: Source,
    /// The password of the servers that keep the data, when it is not in the URL.
    pub password: Option<Source>,
    /// Which certificates are believed and shown.
    pub certificates: Certificates,
}

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

impl Address {
    /// Reads a URL and all that belongs to it; `Err` says what is wrong, and never a password.
    pub(super) fn open(access: &Access) -> Result<Self, String> {
        let url = access.understood()?;
        let certificates = &access.certificates;
        let tls = match url.is_encrypted {
            true => Some(Arc::new(encryption(certificates)?)),
            false if *certificates == Certificates::default() => None,
            false => return Err("certificates are given, and its scheme is without TLS: rediss://".to_owned()),
        };
        let changes = access.may_change().then(|| Arc::new(Changes::new(access.clone(), url.clone())));
        let login = |login: &Login, of| Logins { at_start: login.clone(), of, changes: changes.clone() };
        let data = login(&url.login, Role::Data);
        let asked = match url.topology {
            Topology::Sentinel { .. } => login(&url.sentinel_login, Role::Sentinel),
            Topology::Single | Topology::Cluster => data.clone(),
        };
        let client = |at: &At, login: &Logins| Client {
            at: at.clone(),
            login: login.clone(),
            tls: tls.clone(),
            has_replied: Arc::default(),
        };
        let named: Vec<_> = url.named.iter().map(|at| client(at, &asked)).collect();
        let first = url.named.first().ok_or("it names no host")?;
        Ok(Self { topology: url.topology.clone(), named, template: client(first, &data) })
    }

    /// The server at a node, logged in to as the URL says.
    pub(super) fn at(&self, node: &Node) -> Client {
        let at = At::Tcp { host: node.host.clone(), port: node.port };
        Client { at, ..self.template.clone() }
    }
}

impl Access {
    fn may_change(&self) -> bool {
        self.url.may_change() || self.password.as_ref().is_some_and(Source::may_change)
    }

    /// What the URL says, with the password that was given beside it.
    fn understood(&self) -> Result<Url, String> {
        let mut url = Url::parse(self.url.now().reveal())?;
        if let Some(password) = &self.password {
            let password = password.now();
            if url.login.password.as_ref().is_some_and(|in_url| *in_url != password) {
                return Err("there is a password in it, and another beside it: one is too many".to_owned());
            }
            url.login.password = Some(password);
        }
        Ok(url)
    }
}

/// Who asks for a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Data,
    Sentinel,
}

/// How to log in, at any time.
#[derive(Clone)]
pub(super) struct Logins {
    at_start: Login,
    of: Role,
    /// Where it stands when it may change.
    changes: Option<Arc<Changes>>,
}

/// Files that hold the URL or its password.
struct Changes {
    access: Access,
    at_start: Url,
    is_elsewhere: AtomicBool,
}

impl Changes {
    fn new(access: Access, at_start: Url) -> Self {
        Self { access, at_start, is_elsewhere: AtomicBool::new(false) }
    }

    /// Blocks while files are read. Only the login is taken anew: sessions do not move by themselves.
    fn now(&self) -> Result<Url, String> {
        let url = self.access.understood()?;
        let start = &self.at_start;
        let is_elsewhere = (url.is_encrypted, &url.topology, &url.named, url.login.database)
            != (start.is_encrypted, &start.topology, &start.named, start.login.database);
        if is_elsewhere && !self.is_elsewhere.swap(is_elsewhere, Ordering::Relaxed) {
            warn!("the URL of Redis names other servers than at start: only its login counts until a restart");
        }
        Ok(url)
    }
}

impl Logins {
    /// The present login.
    pub(super) async fn now(&self) -> Result<Login, LinkError> {
        let Some(changes) = &self.changes else { return Ok(self.at_start.clone()) };
        let changes = Arc::clone(changes);
        // A disk may take long.
        let read = tokio::task::spawn_blocking(move || changes.now()).await;
        let url = read.map_err(|error| error.to_string()).and_then(|url| url);
        let url = url.map_err(|why| LinkError::Refused(format!("the URL of Redis has changed: {why}")))?;
        Ok(match self.of {
            Role::Data => url.login,
            Role::Sentinel => url.sentinel_login,
        })
    }

    /// The login as it was at start.
    #[cfg(test)]
    pub(super) fn at_start(&self) -> (Option<&str>, Option<&str>, i64) {
        let Login { user, password, database } = &self.at_start;
        (user.as_deref(), password.as_ref().map(|password| password.reveal()), *database)
    }
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
    use super::{Access, Address, At, Certificates, Source, Topology};

    fn parse(url: &str) -> Result<Address, String> {
        with(url, Certificates::default())
    }

    fn with(url: &str, certificates: Certificates) -> Result<Address, String> {
        Address::open(&Access { url: Source::given(url), password: None, certificates })
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
            assert_eq!(client.login.at_start(), (user, password, database), "{url}");
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
        assert_eq!(address.named[0].login.at_start(), (None, Some("q"), 0));
        let node = super::Node { host: "m".to_owned(), port: 7_001 };
        let master = address.at(&node);
        assert_eq!(master.login.at_start(), (Some("u"), Some("p"), 2));
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
    fn certificates_must_be_there_and_of_use() {
        let certificates = Certificates { authority: Some("/nowhere/ca.pem".into()), client: None };
        let error = with("rediss://h", certificates.clone()).expect_err("there is no such file");
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
        let error = with("redis://h", certificates).expect_err("they are of no use");
        assert!(error.contains("rediss://"), "{error}");
    }
}
