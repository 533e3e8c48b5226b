//! The PostgreSQL server: its URL, and how a connection to it is made and bounded in time. Does not know what is
//! asked of it.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, Failure, described, look_up};
use super::tls;

const PORT: u16 = 5_432;

/// How long it may take until one of the server's addresses has let us in, unless the URL says it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what was sent may stay unacknowledged, and a silent peer unasked, before it counts as gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(15);

/// A server, by its URL.
#[derive(Clone)]
pub struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Server {
    /// The server at a URL, such as `postgres://user:password@host:5432/database`, with libpq's `sslmode` and
    /// `sslrootcert` among its parameters; `Err` says what is wrong with it, and never the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("it does not begin with postgres://".to_owned());
        }
        let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = tls::Mode::Prefer;
        let mut roots = None;
        let mut others = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", name)) => mode = tls::Mode::parse(name)?,
                Some(("sslrootcert", path)) => roots = Some(unescaped(path)?),
                Some(_) | None => others.push(parameter),
            }
        }
        let url = if others.is_empty() { address.to_owned() } else { format!("{address}?{}", others.join("&")) };
        let mut config: Config = url.parse().map_err(|error| described(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("it names no host".to_owned());
        }
        let is_local = |host: &Host| !matches!(host, Host::Tcp(_));
        if mode.is_required() && config.get_hosts().iter().any(is_local) {
            return Err("there is no TLS on a Unix socket: sslmode must be disable or prefer".to_owned());
        }
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
        Ok(Self { config, tls: tls::connector(mode, roots.as_deref())? })
    }

    /// A connection whose statements may take `statement_timeout`, at the first of the server's addresses that lets us in.
    /// Each has as long as [`CONNECT_TIMEOUT`] says. Blocks; not to be called in a task.
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
        let (all, mut one) = (&self.config, Config::new());
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

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.config).finish()
    }
}

/// A parameter of a URL without percent signs.
fn unescaped(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| format!("{text} has a percent sign without two digits"))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| format!("{text} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::Server;

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
            ("postgres://u:hunter2@h/a?sslmode=perhaps", "sslmode"),
            ("postgres://u:hunter2@h/a?sslmode=verify-full&sslrootcert=/nowhere%2Fat-all", "/nowhere/at-all"),
            ("postgres://u:hunter2@h/a?sslmode=verify-full&sslrootcert=%2", "percent"),
            ("postgres://u:hunter2@h:port/a", "port"),
            ("postgres://u:hunter2@h/a?colour=red", "colour"),
            ("postgres:///a", "host"),
            ("postgres://%2Fvar%2Frun/a?sslmode=require", "Unix"),
        ] {
            let error = Server::parse(url).expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
        let server = Server::parse("postgres://u:hunter2@h/a").expect("a URL");
        assert!(!format!("{server:?}").contains("hunter2"));
    }
}
