//! The URL of a PostgreSQL server as libpq reads it, with the password and the TLS setting beside it. An error never contains
//! a part of a password. Does not know how to connect.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::secret::SecretSource;

use super::tls::TlsMode;

/// Address and credentials of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresAccess {
    /// The server's URL, with a user.
    pub url: SecretSource,
    /// The password, when it is not in the URL.
    pub password: Option<SecretSource>,
    /// Whether to encrypt, where the URL says nothing of `sslmode`; what it says must not contradict this.
    pub is_encrypted: Option<bool>,
}

/// How a password's special characters are escaped. An error quotes no part of a URL, since it is not known then where the
/// password ends.
const ESCAPES: &str = "in a user or password, ? is written as %3F, / as %2F, @ as %40, : as %3A";

/// Further parameters of a URL, by libpq's names.
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

/// A URL that was parsed.
pub(super) struct PostgresUrl {
    pub(super) config: Config,
    pub(super) mode: TlsMode,
    /// The file of `sslrootcert`.
    pub(super) roots: Option<String>,
}

impl PostgresAccess {
    pub(super) fn may_change(&self) -> bool {
        self.url.may_change() || self.password.as_ref().is_some_and(SecretSource::may_change)
    }

    /// Parses the URL together with the settings beside it. Blocks while files are read.
    pub(super) fn parse(&self) -> Result<PostgresUrl, String> {
        let mut url = PostgresUrl::parse(self.url.now().reveal(), self.is_encrypted)?;
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

impl PostgresUrl {
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
        let (mut sslmode, mut roots, mut others) = (None, None, Vec::new());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", name)) => sslmode = Some(TlsMode::parse(name)?),
                Some(("sslrootcert", path)) => {
                    roots = Some(percent_decoded(path).ok_or("its sslrootcert cannot be read")?)
                }
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
        let mode = match (sslmode, is_encrypted) {
            (Some(mode), Some(wanted)) if mode.is_required() != wanted => {
                return Err("its sslmode says something else than DATABASE_SSL".to_owned());
            }
            (Some(mode), _) => mode,
            (None, Some(true)) => TlsMode::Require,
            (None, Some(false)) => TlsMode::Disable,
            (None, None) => TlsMode::Prefer,
        };
        let is_local = |host: &Host| !matches!(host, Host::Tcp(_));
        if mode.is_required() && config.get_hosts().iter().any(is_local) {
            return Err("there is no TLS on a Unix socket: sslmode must be disable or prefer".to_owned());
        }
        Ok(Self { config, mode, roots })
    }
}

/// Decodes the percent signs of a parameter.
fn percent_decoded(text: &str) -> Option<String> {
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
