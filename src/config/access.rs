//! Who may ask: keys, or nobody is asked who they are; by which names, from whose pages. Does not know what a key is.

use std::path::PathBuf;

use crate::auth::{KeySources, Permissions};
use crate::http::{AllowedHosts, AllowedOrigins};

use super::listening::Address;
use super::reader::SettingsReader;

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// Whether it is asked who they are.
    pub mode: AccessMode,
    /// Whose certificates servers of key sets may show (PEM); those that the system believes when not given.
    pub authorities: Option<PathBuf>,
    /// By which names.
    pub hosts: AllowedHosts,
    /// By which names operators ask, where they are served apart.
    pub operator_hosts: AllowedHosts,
    /// From whose pages.
    pub origins: AllowedOrigins,
}

/// Whether it is asked who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// Nobody is asked.
    Open {
        /// That was said.
        is_said: bool,
    },
    /// Everybody must have one of these keys, or a token of one.
    Closed(KeySources),
}

/// What AUTH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthChoice {
    Auto,
    On,
    Off,
}

impl<L: Fn(&str) -> Option<String>> SettingsReader<L> {
    /// Keys are looked at here, so that what is wrong with them is told with all else.
    pub(super) fn access(&mut self, address: &Address, admin_address: Option<&Address>) -> AccessSettings {
        let choice = self.parse("AUTH", "auto, on or off", |text| match text {
            "auto" => Some(AuthChoice::Auto),
            "on" => Some(AuthChoice::On),
            "off" => Some(AuthChoice::Off),
            _ => None,
        });
        let known = self.problem_count();
        let sources = self.key_sources();
        let has_keys = self.problem_count() > known || sources.is_any();
        if let Err(problems) = sources.load() {
            problems.into_iter().for_each(|problem| self.problem(problem));
        }
        let mode = match (choice.unwrap_or(AuthChoice::Auto), has_keys) {
            (AuthChoice::Auto | AuthChoice::On, true) => AccessMode::Closed(sources),
            (AuthChoice::Off, false) => AccessMode::Open { is_said: true },
            (AuthChoice::Off, true) => {
                self.problem("AUTH: off, and keys are given: that says two things at once; unset one".to_owned());
                AccessMode::Closed(sources)
            }
            (AuthChoice::Auto, false) => {
                let listening =
                    [("HOST", "127.0.0.1", Some(address)), ("ADMIN_ADDRESS", "127.0.0.1:9464", admin_address)];
                for (name, instead, address) in listening {
                    if let Some(address) = address.filter(|address| !address.is_loopback()) {
                        let why = format!("{name}: others can reach {address}, and no keys are given");
                        self.problem_of_open_server(&why, &format!("{name}={instead}"));
                    }
                }
                AccessMode::Open { is_said: false }
            }
            (AuthChoice::On, false) => {
                self.problem_of_open_server("AUTH: on, and no keys are given", "HOST=127.0.0.1");
                AccessMode::Open { is_said: false }
            }
        };
        let (hosts, operator_hosts) = self.hosts(&mode, address, admin_address);
        let expected = "auto, *, or origins such as https://example.org, between commas";
        let origins = self.parse("CORS_ORIGIN", expected, |text| match text {
            "auto" => Some(None),
            other => other.parse().ok().map(Some),
        });
        let origins = origins.flatten().unwrap_or(match mode {
            AccessMode::Open { .. } => AllowedOrigins::Local,
            AccessMode::Closed(_) => AllowedOrigins::Any,
        });
        AccessSettings { mode, authorities: self.file("OUTBOUND_CA_CERT"), hosts, operator_hosts, origins }
    }

    /// By which names clients may ask, and operators, whose pages need no key: a foreign name must not lead to an address that this
    /// machine alone can reach.
    fn hosts(
        &mut self,
        mode: &AccessMode,
        address: &Address,
        admin_address: Option<&Address>,
    ) -> (AllowedHosts, AllowedHosts) {
        let of = |address: &Address| AllowedHosts::local(address.tcp().map(|address| address.ip()));
        let expected = "*, or names and addresses between commas";
        if let Some(given) = self.parse_given("ALLOWED_HOSTS", expected, |text| text.parse::<AllowedHosts>().ok()) {
            let operator_hosts = given.clone().or(admin_address.map_or(AllowedHosts::Any, of));
            return (given, operator_hosts);
        }
        let operator_hosts = admin_address.filter(|address| address.is_loopback()).map_or(AllowedHosts::Any, of);
        match mode {
            AccessMode::Open { is_said: false } => (of(address), operator_hosts),
            AccessMode::Open { is_said: true } => (AllowedHosts::Any, AllowedHosts::Any),
            AccessMode::Closed(_) => (AllowedHosts::Any, operator_hosts),
        }
    }

    /// It does not start, rather than let in everybody.
    fn problem_of_open_server(&mut self, why: &str, on_loopback: &str) {
        self.problem(format!(
            "{why}: whoever reaches it could do anything. Give keys (synckairos keys new, then KEYS_FILE), \
             listen on loopback ({on_loopback}), or say AUTH=off"
        ));
    }

    /// Where keys stand.
    pub(super) fn key_sources(&mut self) -> KeySources {
        let expected = "permissions between commas, such as read,watch,switch:own";
        let token_allow = self.parse("TOKEN_ALLOW", expected, |text| {
            let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
            let mut is_known = true;
            Permissions::named(names.iter().map(String::as_str), |_| is_known = false);
            is_known.then_some(names)
        });
        KeySources {
            keys_file: self.given("KEYS_FILE").map(PathBuf::from),
            api_key: self.secret("API_KEY"),
            token_secret: self.secret("TOKEN_SECRET"),
            token_jwks: self.given("TOKEN_JWKS"),
            token_allow: token_allow.unwrap_or_default(),
            token_issuer: self.given("TOKEN_ISSUER"),
            token_audience: self.given("TOKEN_AUDIENCE"),
        }
    }
}
