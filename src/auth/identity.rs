//! Who somebody is: a key, or whom a token is about; what they may do, and for how long. Does not know how that was found out.

use std::fmt;
use std::sync::Arc;

use crate::clock::Moment;

use super::grant::{Grant, SessionPattern};

/// The digest by which a key is known from any other, and from itself before it was changed.
pub(super) type KeyFingerprint = [u8; 32];

/// Somebody who has shown a key, or a token that is signed with one.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    pub(super) name: IdentityName,
    pub(super) grants: Box<[Grant]>,
    /// The sessions that the key reaches at most.
    pub(super) ceiling: Arc<[SessionPattern]>,
    /// The end, for its holder.
    pub(super) expires_s: Option<u64>,
    /// The end, on the clock that nobody sets: a step of the operating system's ends nothing, and puts nothing off.
    pub(super) ends: Option<Moment>,
    pub(super) key: KeyFingerprint,
    /// The number of the key set that it was judged by.
    pub(super) generation: u64,
}

/// Whom an identity is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityName {
    /// A key, by its name.
    Key(Arc<str>),
    /// The subject of a token.
    Subject(Arc<str>),
}

impl Identity {
    /// Whom it is about.
    pub fn name(&self) -> &IdentityName {
        &self.name
    }

    /// When it ends, in seconds since 1970, as its holder was told; `None` when it has no end.
    pub fn expires_s(&self) -> Option<u64> {
        self.expires_s
    }

    /// When it ends.
    pub fn ends(&self) -> Option<Moment> {
        self.ends
    }

    /// Whether it has not ended.
    pub fn is_alive(&self, now: Moment) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

/// As logs and the history name it.
impl fmt::Display for IdentityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Subject(subject) => write!(f, "sub:{subject}"),
        }
    }
}
