//! The PostgreSQL server: its URL, and how a connection to it is made and bounded in time. Does not know what is
//! asked of it.

use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;

/// How long it may take until one of the server's addresses answers.
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

    /// A connection whose statements may take `statement_timeout`. Blocks; not to be called in a task.
    pub fn connect(&self, statement_timeout: Duration) -> Result<Client, Error> {
        let mut client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        }?;
        // Statements are planned once per connection, and too short for compiling to pay.
        client.batch_execute(&format!(
            "set statement_timeout = {}; set jit = off; set plan_cache_mode = force_generic_plan",
            statement_timeout.as_millis()
        ))?;
        Ok(client)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.config).finish()
    }
}

/// An error with its cause, which the library keeps out of its own words.
pub(super) fn described(error: &Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", answer.message(), answer.code().code());
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
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
