//! How Redis is reached, as the settings say it: a URL, and what is given beside it.
//!
//! ```text
//! redis://[user:password@]host[:6379][/database]          rediss:// with TLS
//! unix:///path/to/socket[?db=n&user=...&pass=...]
//! redis+sentinel://[user:password@]host[:26379],host.../master[/database]
//! redis+cluster://[user:password@]host[:6379],host...     rediss+... with TLS
//! ```
//!
//! User and password are those of the servers that keep the data; Sentinels with credentials of their own take
//! `?sentinel_user=` and `?sentinel_password=`. Does not know how a connection is made.

use std::path::PathBuf;

use crate::secret::SecretSource;

use super::url::RedisUrl;

/// The URL, the password and the certificates that a connection needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAccess {
    /// Names the servers and the user; all forms stand above.
    pub url: SecretSource,
    /// The password of the servers that keep the data, when it is not in the URL.
    pub password: Option<SecretSource>,
    /// Which certificates are trusted and presented.
    pub certificates: Certificates,
}

/// Which certificates are trusted and presented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// The certificate authority that is trusted (PEM); those of the system when it is not given.
    pub authority: Option<PathBuf>,
    /// The client certificate that is presented, and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
}

impl RedisAccess {
    /// Whether a file holds the URL or the password, and may change.
    pub(super) fn may_change(&self) -> bool {
        self.url.may_change() || self.password.as_ref().is_some_and(SecretSource::may_change)
    }

    /// Parses the URL, and adds the password that is given beside it. Blocks while files are read.
    pub(super) fn parse_url(&self) -> Result<RedisUrl, String> {
        let mut url = RedisUrl::parse(self.url.now().reveal())?;
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
