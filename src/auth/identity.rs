//! Who somebody is: a key, or whom a token is about; what they may do, and for how long. Does not know how that was found out.

use std::fmt;
use std::sync::Arc;

use crate::client::ClientId;
use crate::clock::Moment;
use crate::engine::{SessionId, Timestamp};
use crate::wire;

use super::api_key::Digest;
use super::grant::{Grant, SessionPattern};

/// The digest by which a key is known from any other, and from itself before it was changed.
pub(super) type KeyFingerprint = [u8; 32];

/// Somebody who has shown a key, or a token that is signed with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(super) name: IdentityName,
    /// As limits count it.
    pub(super) counted: ClientId,
    /// As the history names it.
    pub(super) actor: Arc<str>,
    pub(super) grants: Box<[Grant]>,
    /// The sessions that the key reaches at most.
    pub(super) ceiling: Arc<[SessionPattern]>,
    /// The end, for its holder.
    pub(super) expires_s: Option<u64>,
    /// The same, on the clock that nobody sets.
    pub(super) expires: Option<Moment>,
    /// When it counts no more, which may be a little later, on the clock that nobody sets: a step of the operating system's ends nothing, and puts nothing off.
    pub(super) ends: Option<Moment>,
    pub(super) key: KeyFingerprint,
    /// When its token was made, if it is one and says so.
    pub(super) issued: Option<Timestamp>,
    /// The name of its token.
    pub(super) token: Option<Box<str>>,
    /// Sessions in which it counts no more, in order.
    pub(super) revoked_in: Box<[SessionId]>,
    /// Of the keys that it was judged by.
    pub(super) key_generation: u64,
    /// Of the keys and revocations that it was judged by.
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

    /// As limits count it, from wherever it asks.
    pub fn counted(&self) -> ClientId {
        self.counted
    }

    /// As the history names it.
    pub fn actor(&self) -> &Arc<str> {
        &self.actor
    }

    /// When it ends, in seconds since 1970, as its holder was told; `None` when it has no end.
    pub fn expires_s(&self) -> Option<u64> {
        self.expires_s
    }

    /// When it ends, as its holder was told.
    pub fn expires(&self) -> Option<Moment> {
        self.expires
    }

    /// When it counts no more.
    pub fn ends(&self) -> Option<Moment> {
        self.ends
    }

    /// Who it is and what it may do, for a person.
    pub fn describe(&self) -> String {
        let mut text = format!("{}\n", self.name);
        if let Some(at) = self.expires_s {
            let at = Timestamp::from_ms(at.saturating_mul(1_000));
            text += &format!("until {}\n", wire::instant_text(at));
        }
        for grant in &self.grants {
            let sessions: Vec<_> = grant.sessions.iter().map(ToString::to_string).collect();
            let participants: Vec<_> = grant.participants.iter().map(ToString::to_string).collect();
            text += &format!("may {} in {}", grant.allow, sessions.join(", "));
            if !participants.is_empty() {
                text += &format!(" as {}", participants.join(", "));
            }
            text += "\n";
        }
        let ceiling: Vec<_> = self.ceiling.iter().map(ToString::to_string).collect();
        text + &format!("and its key reaches {}\n", ceiling.join(", "))
    }

    /// Whether it counts no more in a session, as far as was known when it was judged.
    pub fn is_revoked_in(&self, id: SessionId) -> bool {
        self.revoked_in.binary_search(&id).is_ok()
    }

    /// Whether it has not ended.
    pub fn is_alive(&self, now: Moment) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

impl IdentityName {
    /// As limits count it. No subject is like a key: none has a control character.
    pub(super) fn counted(&self) -> ClientId {
        let digest = match self {
            Self::Key(id) => Digest::of(format!("key\0{id}").as_bytes()),
            Self::Subject(subject) => Digest::of(subject.as_bytes()),
        };
        ClientId::Named(digest.bytes())
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

#[cfg(test)]
mod tests {
    use super::IdentityName;

    #[test]
    fn nobody_is_counted_as_somebody_else() {
        let (key, other) = (IdentityName::Key("backend".into()), IdentityName::Key("other".into()));
        let subjects = ["backend", "key:backend", "key\u{2400}backend"].map(|name| IdentityName::Subject(name.into()));
        for subject in &subjects {
            assert_ne!(key.counted(), subject.counted(), "{subject}");
        }
        assert_ne!(key.counted(), other.counted());
        assert_eq!(key.counted(), IdentityName::Key("backend".into()).counted());
    }
}
