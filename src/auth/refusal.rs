//! Why a credential is not taken. Does not know how that is told.

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
    /// It comes from where too many wrong ones came from: it was not looked at.
    TooMany,
}

impl AuthError {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}
