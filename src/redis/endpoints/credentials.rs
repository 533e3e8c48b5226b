//! The login to a server, read again from its files for each connection, so that a rotated password needs no restart.
//! Does not know which server asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::warn;

use crate::redis::error::RedisError;

use super::access::RedisAccess;
use super::url::{Login, RedisUrl};

/// What kind of server asks for a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginRole {
    Data,
    Sentinel,
}

/// How to log in: a login that is fixed, or one that is read again from files.
#[derive(Clone)]
pub(super) struct Credentials {
    at_start: Login,
    role: LoginRole,
    /// The files that hold the login, when it may change.
    files: Option<Arc<CredentialFiles>>,
}

/// The files that hold the URL or its password.
pub(super) struct CredentialFiles {
    access: RedisAccess,
    at_start: RedisUrl,
    names_other_servers: AtomicBool,
}

impl CredentialFiles {
    pub(in crate::redis) fn new(access: RedisAccess, at_start: RedisUrl) -> Self {
        Self { access, at_start, names_other_servers: AtomicBool::new(false) }
    }

    /// Reads the URL again, and blocks while files are read. Only its login counts: sessions do not move by themselves.
    fn read(&self) -> Result<RedisUrl, String> {
        let url = self.access.parse_url()?;
        let start = &self.at_start;
        let names_other_servers = (url.is_encrypted, &url.kind, &url.seeds, url.login.database)
            != (start.is_encrypted, &start.kind, &start.seeds, start.login.database);
        if names_other_servers && !self.names_other_servers.swap(names_other_servers, Ordering::Relaxed) {
            warn!("the URL of Redis names other servers than at start: only its login counts until a restart");
        }
        Ok(url)
    }
}

impl Credentials {
    /// Credentials that begin with `at_start`.
    pub(in crate::redis) fn new(at_start: Login, role: LoginRole, files: Option<Arc<CredentialFiles>>) -> Self {
        Self { at_start, role, files }
    }

    /// The present login.
    pub(in crate::redis) async fn now(&self) -> Result<Login, RedisError> {
        let Some(files) = &self.files else { return Ok(self.at_start.clone()) };
        let files = Arc::clone(files);
        // A disk may take long.
        let read = tokio::task::spawn_blocking(move || files.read()).await;
        let url = read.map_err(|error| error.to_string()).and_then(|url| url);
        let url = url.map_err(|why| RedisError::Server(format!("the URL of Redis has changed: {why}")))?;
        Ok(match self.role {
            LoginRole::Data => url.login,
            LoginRole::Sentinel => url.sentinel_login,
        })
    }

    /// The login as it was at start.
    #[cfg(test)]
    pub(super) fn at_start(&self) -> (Option<&str>, Option<&str>, i64) {
        let Login { user, password, database } = &self.at_start;
        (user.as_deref(), password.as_ref().map(|password| password.reveal()), *database)
    }
}
