//! The PostgreSQL server: its URL, and how a connection to it is made and bounded in time. Does not know what is
//! asked of it.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::secret::Source;

use super::connection::{Connection, Failure, look_up};
use super::tls;

const PORT: u16 = 5_432;

/// How long it may take until one of the server's addresses has let us in, unless the URL says it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what was sent may stay unacknowledged, and a silent peer unasked, before it counts as gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(15);

/// What it takes to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where the server is, and who comes.
    pub url: Source,
    /// The password, when it is not in the URL.
    pub password: Option<Source>,
    /// Whether to encrypt, where the URL says nothing of `sslmode`; what it says must not contradict this.
    pub is_encrypted: Option<bool>,
}

/// A server, by its URL.
#[derive(Clone)]
pub struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// Where its login stands when it may change.
    changes: Option<Arc<Access>>,
}

/// How a password's special characters are written; what is wrong with a URL is said without any part of it, since
/// where its password ends is not known then.
const ESCAPES: &str = "in a user or password, ? is written as %3F, / as %2F, @ as %40, : as %3A";

/// What else a URL may say, by the names that libpq gives it.
const PARAMETERS: [&str; 18] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "sslnegotiation",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

impl Server {
    /// The server at a URL, such as `postgres://user:password@host:5432/database`, with libpq's `sslmode` and
    /// `sslrootcert` among its parameters; `Err` says what is wrong with it, and never a password.
    pub fn open(access: &Access) -> Result<Self, String> {
        let Url { mut config, mode, roots } = access.understood()?;
        config.ssl_mode(match mode {
            tls::Mode::Disable => SslMode::Disable,
            tls::Mode::Prefer => SslMode::Prefer,
            tls::Mode::Require | tls::Mode::VerifyCa | tls::Mode::VerifyFull => SslMode::Require,
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
        let changes = access.may_change().then(|| Arc::new(access.clone()));
        Ok(Self { config, tls: tls::connector(mode, roots.as_deref())?, changes })
    }

    /// The same for a URL that does not change.
    pub fn parse(url: &str) -> Result<Self, String> {
        Self::open(&Access { url: Source::given(url), password: None, is_encrypted: None })
    }

    /// How to connect now: only the login is taken anew, rows do not move by themselves. What cannot be understood any
    /// more counts as it was at start.
    fn config(&self) -> Config {
        let mut config = self.config.clone();
        if let Some(Ok(now)) = self.changes.as_ref().map(|access| access.understood()) {
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
    pub fn connect(&self, statement_timeout: Duration) -> Result<Connection, Failure> {
        let patience = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        // Statements are planned once per connection, and too short for compiling to pay.
        let settings = format!(
            "set statement_timeout = {}; set jit = off; set plan_cache_mode = force_generic_plan",
            statement_timeout.as_millis()
        );
        let mut failures = Vec::new();
        for place in self.places() {
            for address in self.addresses(place, patience) {
                let name = place_name(&self.config, place);
                let connected = address.and_then(|address| {
                    let mut connection = match &self.tls {
                        Some(tls) => Connection::open(&address, tls.clone(), patience),
                        None => Connection::open(&address, NoTls, patience),
                    }?;
                    connection.ask(patience, async |client| client.batch_execute(&settings).await)?;
                    Ok(connection)
                });
                match connected {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => failures.push((name, failure)),
                }
            }
        }
        match failures.pop() {
            None => Err(Failure::Unreached("its name has no address".to_owned())),
            Some((_, only)) if failures.is_empty() => Err(only),
            Some(last) => {
                let told = failures.iter().chain([&last]).map(|(name, failure)| format!("{name}: {failure}"));
                Err(Failure::Unreached(told.collect::<Vec<_>>().join("; ")))
            }
        }
    }

    /// The hosts of the URL by their places, in the order in which they are tried.
    fn places(&self) -> Vec<usize> {
        let count = self.config.get_hosts().len().max(self.config.get_hostaddrs().len());
        let mut places: Vec<_> = (0..count).collect();
        if self.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            let random = RandomState::new();
            places.sort_by_key(|place| random.hash_one(place));
        }
        places
    }

    /// A host's addresses, each as the library takes it.
    fn addresses(&self, place: usize, patience: Duration) -> Vec<Result<Config, Failure>> {
        let (host, port) = (self.config.get_hosts().get(place), port(&self.config, place));
        let found = match (host, self.config.get_hostaddrs().get(place)) {
            (Some(Host::Tcp(_)) | None, Some(address)) => Ok(vec![Some(*address)]),
            (Some(Host::Tcp(name)), None) => {
                look_up(name, port, patience).map(|found| found.into_iter().map(Some).collect())
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

fn port(config: &Config, place: usize) -> u16 {
    config.get_ports().get(place).or_else(|| config.get_ports().first()).copied().unwrap_or(PORT)
}

/// A host as people are told of it.
fn place_name(config: &Config, place: usize) -> String {
    let port = port(config, place);
    match (config.get_hosts().get(place), config.get_hostaddrs().get(place)) {
        (Some(Host::Tcp(name)), _) => format!("{name}:{port}"),
        (Some(Host::Unix(path)), _) => path.display().to_string(),
        (None, Some(address)) => format!("{address}:{port}"),
        (None, None) => format!("port {port}"),
    }
}

/// A URL that was understood.
struct Url {
    config: Config,
    mode: tls::Mode,
    /// The file of `sslrootcert`.
    roots: Option<String>,
}

impl Access {
    fn may_change(&self) -> bool {
        self.url.may_change() || self.password.as_ref().is_some_and(Source::may_change)
    }

    /// What the URL says, with what was given beside it. Blocks while files are read.
    fn understood(&self) -> Result<Url, String> {
        let mut url = Url::parse(self.url.now().reveal(), self.is_encrypted)?;
        if let Some(password) = &self.password {
            let password = password.now();
            let password = password.reveal().as_bytes();
            if url.config.get_password().is_some_and(|in_url| in_url != password) {
                return Err("there is a password in it, and another beside it: one is too many".to_owned());
            }
            url.config.password(password);
        }
        Ok(url)
    }
}

impl Url {
    fn parse(url: &str, is_encrypted: Option<bool>) -> Result<Self, String> {
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or("it does not begin with postgres://")?;
        let (address, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if address.matches('@').count() > 1 || (!address.contains('@') && parameters.contains('@')) {
            return Err(format!("where its host begins is not clear: {ESCAPES}"));
        }
        let read = |parameter: &str| format!("postgres://{address}?{parameter}").parse::<Config>();
        let shape = "it is not postgres://user:password@host:port/database";
        read("").map_err(|_| format!("{shape}: {ESCAPES}"))?;
        let (mut told, mut roots, mut others) = (None, None, Vec::new());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", name)) => told = Some(tls::Mode::parse(name)?),
                Some(("sslrootcert", path)) => roots = Some(unescaped(path).ok_or("its sslrootcert cannot be read")?),
                Some((name, _)) if PARAMETERS.contains(&name) => {
                    read(parameter).map_err(|_| format!("its {name} cannot be read"))?;
                    others.push(parameter);
                }
                Some(_) | None => return Err(format!("it has a parameter that is not known; {ESCAPES}")),
            }
        }
        let config = read(&others.join("&")).map_err(|_| "its parameters do not go together")?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("it names no host".to_owned());
        }
        let mode = match (told, is_encrypted) {
            (Some(mode), Some(wanted)) if mode.is_required() != wanted => {
                return Err("its sslmode says something else than DATABASE_SSL".to_owned());
            }
            (Some(mode), _) => mode,
            (None, Some(true)) => tls::Mode::Require,
            (None, Some(false)) => tls::Mode::Disable,
            (None, None) => tls::Mode::Prefer,
        };
        let is_local = |host: &Host| !matches!(host, Host::Tcp(_));
        if mode.is_required() && config.get_hosts().iter().any(is_local) {
            return Err("there is no TLS on a Unix socket: sslmode must be disable or prefer".to_owned());
        }
        Ok(Self { config, mode, roots })
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.config).finish()
    }
}

/// A parameter of a URL without percent signs.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Access, Server, Source};

    #[test]
    fn reads_what_libpq_reads() {
        for url in [
            "postgres://localhost/audit",
            "postgresql://user:pass@10.0.0.1:5433/audit?sslmode=disable",
            "postgres://h/audit?sslmode=require&connect_timeout=3",
            "postgres://a,b/audit?sslmode=prefer&target_session_attrs=read-write",
            "postgres://%2Fvar%2Frun%2Fpostgresql/audit",
        ] {
            assert!(Server::parse(url).is_ok(), "{url}: {:?}", Server::parse(url));
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
            let error = Server::parse(url).expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
        let server = Server::parse("postgres://u:hunter2@h/a").expect("a URL");
        assert!(!format!("{server:?}").contains("hunter2"));
    }

    proptest! {
        /// Whatever is in a password that nobody escaped, and whatever comes of it.
        #[test]
        fn no_part_of_a_password_is_told(
            start in "(postgres|postgresql|redis|)(:|:/|://)[u]?:?",
            parts in prop::collection::vec("[A-Z]{4,8}", 1..4),
            between in "[]?#/@:%&=,;\\[ +\\\\]{1,2}",
            end in "(@h|@h:5432/a|@h:port/0|%40h|@|@h/a\\?x=1|)",
        ) {
            let url = format!("{start}{}{end}", parts.join(&between));
            if let Err(error) = Server::parse(&url) {
                for part in parts {
                    prop_assert!(!error.contains(&part[..4]), "{url}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_is_given_beside_the_url_does_not_contradict_it() {
        let open = |url: &str, password: Option<&str>, is_encrypted| {
            Server::open(&Access { url: Source::given(url), password: password.map(Source::given), is_encrypted })
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
