//! Why a credential is not taken. Does not know how that is told.

use std::sync::Arc;

/// Why somebody is nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// They show nothing.
    Missing,
    /// What they show is no key and no token, names a key that is not known, or is not signed with it. What exactly is for the
    /// operator's eyes.
    Invalid(String),
    /// It was right once.
    Expired,
    /// It was right, and somebody has revoked it.
    Revoked,
    /// It is not known yet what was revoked.
    RevocationsUnknown,
    /// It comes from where too many wrong ones came from: it was not looked at.
    TooMany,
    /// It names a key that its issuer's sets, at these URLs, do not hold: perhaps they do by now.
    UnknownKey(Vec<Arc<str>>),
    /// Nothing is known of its issuer's keys, at these URLs.
    Unavailable(Vec<Arc<str>>),
}

impl AuthError {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }

    /// The sets that may say more when they are read again.
    pub fn sets(&self) -> &[Arc<str>] {
        match self {
            Self::UnknownKey(urls) | Self::Unavailable(urls) => urls,
            Self::Missing
            | Self::Invalid(_)
            | Self::Expired
            | Self::Revoked
            | Self::RevocationsUnknown
            | Self::TooMany => &[],
        }
    }
}
