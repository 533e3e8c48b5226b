//! Why a run fails: a wrong response, or something that cannot be measured.

use std::fmt;
use std::io;

/// Why a run ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A response is wrong: no measurement counts.
    Wrong(String),
    /// A server, a connection or this machine fails: nothing can be measured.
    Broken(io::Error),
}

/// The result of whatever talks to a server.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// How much of a wrong response is shown.
const SHOWN_LEN_MAX: usize = 2_000;

impl Failure {
    /// A wrong response, and why it is wrong.
    pub(crate) fn wrong(why: impl fmt::Display, response: &[u8]) -> Self {
        let shown = &response[..response.len().min(SHOWN_LEN_MAX)];
        Self::Wrong(format!("{why}: {}", String::from_utf8_lossy(shown)))
    }

    /// A failure that ends the run.
    pub(crate) fn broken(why: impl Into<String>) -> Self {
        Self::Broken(io::Error::other(why.into()))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(why) => write!(f, "WRONG ANSWER: {why}"),
            Self::Broken(error) => write!(f, "{error}"),
        }
    }
}
