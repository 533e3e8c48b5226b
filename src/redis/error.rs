//! What can go wrong on the way to a Redis server: one error model for our own connections and the library's. Does not
//! know which command failed.

use std::fmt;

/// Why a connection did not do what it was asked. After [`RedisError::Io`] and [`RedisError::Moved`] it is not to be
/// used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisError {
    /// The connection is lost, took too long, or cannot be made. What was sent may have been carried out.
    Io(String),
    /// The server refused a command or the login.
    Server(String),
    /// The server is not to be used as it is.
    Misconfigured(Misconfigured),
    /// Another server answers for the keys now; no transaction was carried out.
    Moved(String),
    /// The keys are migrating to another server, or no server answers for them; no transaction was carried out.
    TryAgain(String),
}

/// Why a server is not to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misconfigured {
    /// The reason, for people.
    pub why: String,
    /// Waiting does not help: this process was given a setting that is wrong.
    pub is_lasting: bool,
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedisError::Io(why) => write!(f, "Redis cannot be reached: {why}"),
            RedisError::Server(why) => write!(f, "Redis refused: {why}"),
            RedisError::Misconfigured(Misconfigured { why, .. }) => f.write_str(why),
            RedisError::Moved(why) => write!(f, "another Redis server is responsible: {why}"),
            RedisError::TryAgain(why) => write!(f, "no Redis server is responsible at the moment: {why}"),
        }
    }
}

impl From<redis::RedisError> for RedisError {
    fn from(error: redis::RedisError) -> Self {
        if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() {
            return RedisError::Io(error.to_string());
        }
        match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => RedisError::Server(format!("{code} {detail}")),
            _ => RedisError::Server(error.to_string()),
        }
    }
}
