//! A node of a deployment, as nodes and Sentinels name it. Does not know how to connect to it.

use std::fmt;

/// The address by which servers name one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::redis) struct Node {
    pub(in crate::redis) host: String,
    pub(in crate::redis) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
