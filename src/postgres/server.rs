//! A PostgreSQL server: connects to the first of its hosts that accepts the login, with a timeout for each. Does not know the
//! statements.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::random;
use crate::secret::SecretSource;

use super::connection::{PostgresConnection, PostgresError, look_up};
use super::tls::{self, TlsMode};
use super::url::{PostgresAccess, PostgresUrl};

const PORT: u16 = 5_432;

/// How long one of the server's addresses may take to accept the login, unless the URL says it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// After how long a peer that acknowledges nothing, or is silent, counts as gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(15);

/// A server, by its URL.
#[derive(Clone)]
pub struct PostgresServer {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// Where the login is read again, when it may change.
    login: Option<Arc<PostgresAccess>>,
}

impl PostgresServer {
    /// The server at a URL, such as `postgres://user:password@host:5432/database`, with libpq's `sslmode` and
    /// `sslrootcert` among its parameters; `Err` says what is wrong with it, and never a password.
    pub fn open(access: &PostgresAccess) -> Result<Self, String> {
        let PostgresUrl { mut config, mode, roots } = access.parse()?;
        config.ssl_mode(match mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(PEER_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("synckairos");
        }
        config.keepalives_idle(PEER_TIMEOUT / 3).keepalives_interval(PEER_TIMEOUT / 3).keepalives_retries(3);
        let login = access.may_change().then(|| Arc::new(access.clone()));
        Ok(Self { config, tls: tls::connector(mode, roots.as_deref())?, login })
    }

    /// The same for a URL that does not change.
    pub fn parse(url: &str) -> Result<Self, String> {
        Self::open(&PostgresAccess { url: SecretSource::given(url), password: None, is_encrypted: None })
    }

    /// The configuration for the next connection: the login is read again, the address is not, since rows do not move by
    /// themselves. A login that cannot be parsed any more counts as it was at start.
    fn config(&self) -> Config {
        let mut config = self.config.clone();
        if let Some(Ok(now)) = self.login.as_ref().map(|access| access.parse()) {
            if let Some(user) = now.config.get_user() {
                config.user(user);
            }
            if let Some(password) = now.config.get_password() {
                config.password(password);
            }
        }
        config
    }

    /// A connection whose statements may take `statement_timeout`, at the first of the server's addresses that lets us in.
    /// Each has as long as `CONNECT_TIMEOUT` says. Blocks; not to be called in a task.
    pub fn connect(&self, statement_timeout: Duration) -> Result<PostgresConnection, PostgresError> {
        let timeout = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        // Statements are planned once per connection, and too short for compiling to pay.
        let settings = format!(
            "set statement_timeout = {}; set jit = off; set plan_cache_mode = force_generic_plan",
            statement_timeout.as_millis()
        );
        let mut failures = Vec::new();
        for index in self.host_indices() {
            for address in self.addresses(index, timeout) {
                let name = host_name(&self.config, index);
                let connected = address.and_then(|address| {
                    let mut connection = match &self.tls {
                        Some(tls) => PostgresConnection::open(&address, tls.clone(), timeout),
                        None => PostgresConnection::open(&address, NoTls, timeout),
                    }?;
                    connection.ask(timeout, async |client| client.batch_execute(&settings).await)?;
                    Ok(connection)
                });
                match connected {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => failures.push((name, failure)),
                }
            }
        }
        match failures.pop() {
            None => Err(PostgresError::Unreachable("its name has no address".to_owned())),
            Some((_, only)) if failures.is_empty() => Err(only),
            Some(last) => {
                let told = failures.iter().chain([&last]).map(|(name, failure)| format!("{name}: {failure}"));
                Err(PostgresError::Unreachable(told.collect::<Vec<_>>().join("; ")))
            }
        }
    }

    /// The indices of the URL's hosts, in the order in which they are tried.
    fn host_indices(&self) -> Vec<usize> {
        let count = self.config.get_hosts().len().max(self.config.get_hostaddrs().len());
        let mut indices: Vec<_> = (0..count).collect();
        if self.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            indices.sort_by_cached_key(|_| random::bits());
        }
        indices
    }

    /// A host's addresses, each as the library takes it.
    fn addresses(&self, index: usize, timeout: Duration) -> Vec<Result<Config, PostgresError>> {
        let (host, port) = (self.config.get_hosts().get(index), port(&self.config, index));
        let found = match (host, self.config.get_hostaddrs().get(index)) {
            (Some(Host::Tcp(_)) | None, Some(address)) => Ok(vec![Some(*address)]),
            (Some(Host::Tcp(name)), None) => {
                look_up(name, port, timeout).map(|found| found.into_iter().map(Some).collect())
            }
            (Some(_), _) | (None, None) => Ok(vec![None]),
        };
        match found {
            Ok(found) => found.into_iter().map(|address| Ok(self.at(host, address, port))).collect(),
            Err(failure) => vec![Err(failure)],
        }
    }

    /// The same server at one address.
    fn at(&self, host: Option<&Host>, address: Option<IpAddr>, port: u16) -> Config {
        let (all, mut one) = (self.config(), Config::new());
        match host {
            Some(Host::Tcp(name)) => one.host(name),
            Some(Host::Unix(path)) => one.host_path(path),
            None => &mut one,
        };
        address.map(|address| one.hostaddr(address));
        one.port(port);
        all.get_user().map(|user| one.user(user));
        all.get_password().map(|password| one.password(password));
        all.get_dbname().map(|name| one.dbname(name));
        all.get_options().map(|options| one.options(options));
        all.get_application_name().map(|name| one.application_name(name));
        all.get_connect_timeout().map(|timeout| one.connect_timeout(*timeout));
        all.get_tcp_user_timeout().map(|timeout| one.tcp_user_timeout(*timeout));
        one.ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
        one.channel_binding(all.get_channel_binding()).target_session_attrs(all.get_target_session_attrs());
        one.keepalives(all.get_keepalives()).keepalives_idle(all.get_keepalives_idle());
        all.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
        all.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
        one
    }
}

fn port(config: &Config, index: usize) -> u16 {
    config.get_ports().get(index).or_else(|| config.get_ports().first()).copied().unwrap_or(PORT)
}

/// A host's name for error messages.
fn host_name(config: &Config, index: usize) -> String {
    let port = port(config, index);
    match (config.get_hosts().get(index), config.get_hostaddrs().get(index)) {
        (Some(Host::Tcp(name)), _) => format!("{name}:{port}"),
        (Some(Host::Unix(path)), _) => path.display().to_string(),
        (None, Some(address)) => format!("{address}:{port}"),
        (None, None) => format!("port {port}"),
    }
}

impl std::fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresServer").field(&self.config).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PostgresAccess, PostgresServer, SecretSource};

    #[test]
    fn reads_what_libpq_reads() {
        for url in [
            "postgres://localhost/audit",
            "postgresql://user:pass@10.0.0.1:5433/audit?sslmode=disable",
            "postgres://h/audit?sslmode=require&connect_timeout=3",
            "postgres://a,b/audit?sslmode=prefer&target_session_attrs=read-write",
            "postgres://%2Fvar%2Frun%2Fpostgresql/audit",
        ] {
            assert!(PostgresServer::parse(url).is_ok(), "{url}: {:?}", PostgresServer::parse(url));
        }
    }

    #[test]
    fn says_what_is_wrong_and_never_the_password() {
        for (url, why) in [
            ("redis://localhost", "postgres://"),
            ("u:hunter2@h", "postgres://"),
            ("hunter2://h", "postgres://"),
            ("postgres:/u:hunter2@h", "postgres://"),
            ("postgres://u:hunter2@h/a?sslmode=perhaps", "sslmode"),
            ("postgres://u:hunter2@h/a?sslmode=hunter2", "sslmode"),
            ("postgres://u:hunter2@h/a?sslmode=verify-full&sslrootcert=/nowhere%2Fat-all", "/nowhere/at-all"),
            ("postgres://u:hunter2@h/a?sslmode=verify-full&sslrootcert=%2", "sslrootcert"),
            ("postgres://u:hunter2@h:port/a", "port"),
            ("postgres://u:hunter2@h:70000/a", "port"),
            ("postgres://u:hunter2@[::1/a", "host"),
            ("postgres://u:hunter2", "port"),
            ("postgres://u:hunter2@h/a?colour=red", "not known"),
            ("postgres://u:hunter2@h/a?hunter2", "not known"),
            ("postgres://u:hunter2@h/a?connect_timeout=soon", "connect_timeout"),
            ("postgres://u:hunter2@h/a?port=hunter2", "port"),
            ("postgres://u:hun?hunter2@h/a", "%3F"),
            ("postgres://u:hun?hunter2%40h/a", "%3F"),
            ("postgres://u:hun?a=b&hunter2@h/a", "%3F"),
            ("postgres://u:hun@hunter2@h/a", "%40"),
            ("postgres://u:5432/x@hunter2@h/a", "%40"),
            ("postgres:///a", "host"),
            ("postgres://u:hunter2@", "host"),
            ("postgres://%2Fvar%2Frun/a?sslmode=require", "Unix"),
        ] {
            let error = PostgresServer::parse(url).expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
        let server = PostgresServer::parse("postgres://u:hunter2@h/a").expect("a URL");
        assert!(!format!("{server:?}").contains("hunter2"));
    }

    proptest! {
        /// Any password that is not escaped, and any result of that.
        #[test]
        fn no_part_of_a_password_is_told(
            start in "(postgres|postgresql|redis|)(:|:/|://)[u]?:?",
            parts in prop::collection::vec("[A-Z]{4,8}", 1..4),
            between in "[]?#/@:%&=,;\\[ +\\\\]{1,2}",
            end in "(@h|@h:5432/a|@h:port/0|%40h|@|@h/a\\?x=1|)",
        ) {
            let url = format!("{start}{}{end}", parts.join(&between));
            if let Err(error) = PostgresServer::parse(&url) {
                for part in parts {
                    prop_assert!(!error.contains(&part[..4]), "{url}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_is_given_beside_the_url_does_not_contradict_it() {
        let open = |url: &str, password: Option<&str>, is_encrypted| {
            PostgresServer::open(&PostgresAccess {
                url: SecretSource::given(url),
                password: password.map(SecretSource::given),
                is_encrypted,
            })
        };
        for (url, password, is_encrypted, is_good) in [
            ("postgres://u@h/a", Some("hunter2"), None, true),
            ("postgres://u:hunter2@h/a", Some("hunter2"), None, true),
            ("postgres://u:other@h/a", Some("hunter2"), None, false),
            ("postgres://u@h/a?sslmode=verify-full", None, Some(true), true),
            ("postgres://u@h/a?sslmode=prefer", None, Some(true), false),
            ("postgres://u@h/a?sslmode=require", None, Some(false), false),
            ("postgres://u@h/a?sslmode=disable", None, Some(false), true),
        ] {
            let opened = open(url, password, is_encrypted);
            assert_eq!(opened.is_ok(), is_good, "{url}: {opened:?}");
        }
        let with = open("postgres://u@h/a", Some("hunter2"), Some(true)).expect("a URL");
        assert_eq!(with.config().get_password(), Some(&b"hunter2"[..]));
        assert!(with.tls.is_some() && open("postgres://u@h/a", None, Some(false)).expect("a URL").tls.is_none());
        assert!(!format!("{with:?}").contains("hunter2"));
    }
}
