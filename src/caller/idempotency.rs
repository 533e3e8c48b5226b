//! Names that clients give to commands, so that one which is sent again is known (Idempotency-Key): which names are allowed, and the
//! key that one becomes. Does not know how a name is sent, nor what becomes of the key.

use std::sync::Arc;

use crate::auth::{Digest, IdentityName};
use crate::engine::{SessionId, Uuid};
use crate::store::{CommandKey, CommandOrigin};

use super::authentication::{Authentication, Caller};

/// The longest name.
const LEN_MAX: usize = 255;
/// How many bytes of a digest say what a command is called, and what it asks for.
const NAME_LEN: usize = 12;
const REQUEST_LEN: usize = 4;

/// A name of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandName(Box<str>);

impl Caller {
    /// A name that this caller gives; `Err` says what it must be. Quotes around it do not belong to it (RFC 8941, section 3.3.3).
    pub fn command_name(&self, text: &str) -> Result<CommandName, &'static str> {
        let name = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        if matches!(self.authentication(), Authentication::Open) {
            return match Uuid::parse(name) {
                Some(name) => Ok(CommandName(name.to_string().into())),
                // Nobody says who they are, so that a name must be like no other by itself.
                None => Err("Must be a UUID, where nobody is asked who they are"),
            };
        }
        let is_visible = name.bytes().all(|byte| byte.is_ascii_graphic());
        match is_visible && (1..=LEN_MAX).contains(&name.len()) {
            true => Ok(CommandName(name.into())),
            false => Err("Must be 1 to 255 visible ASCII characters"),
        }
    }

    /// Where a command of this caller's comes from. It may have a name; `command` is the word for what it does, `request` what it
    /// asks for.
    pub fn origin(&self, id: SessionId, command: &str, named: Option<(&CommandName, &[u8])>) -> CommandOrigin {
        let key = named.map(|(CommandName(name), request)| self.key(id, command, name, request));
        let actor = self.identity().map(|identity| Arc::clone(identity.actor()));
        CommandOrigin::new(actor, key)
    }

    fn key(&self, id: SessionId, command: &str, name: &str, request: &[u8]) -> CommandKey {
        let (kind, who) = match self.identity().map(|identity| identity.name()) {
            Some(IdentityName::Key(id)) => ("key", &**id),
            Some(IdentityName::Subject(subject)) => ("sub", &**subject),
            None => ("open", ""),
        };
        let mut text = Vec::with_capacity(128 + name.len());
        for part in [kind.as_bytes(), who.as_bytes(), &id.0.text(), command.as_bytes(), name.as_bytes()] {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        CommandKey::new(beginning::<NAME_LEN>(&text), beginning::<REQUEST_LEN>(request))
    }
}

/// The first bytes of the SHA-256 of some others.
fn beginning<const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    let mut beginning = [0; LEN];
    beginning.copy_from_slice(&Digest::of(bytes).bytes()[..LEN]);
    beginning
}

#[cfg(test)]
mod tests {
    use super::{Authentication, Caller, SessionId, Uuid};
    use crate::auth::AuthError;
    use crate::client::ClientAddress;

    fn caller(authentication: Authentication) -> Caller {
        Caller::new(ClientAddress::UNIX, authentication)
    }

    #[test]
    fn where_nobody_is_asked_a_name_is_a_uuid() {
        let open = caller(Authentication::Open);
        let plain = open.command_name("550E8400-e29b-41d4-a716-446655440000").expect("it is one");
        assert_eq!(open.command_name("\"550e8400-e29b-41d4-a716-446655440000\""), Ok(plain));
        for wrong in ["", "\"\"", "1", "550e8400-e29b-41d4-a716-44665544000", " "] {
            assert!(open.command_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn elsewhere_it_is_visible_text() {
        let known = caller(Authentication::Refused(AuthError::Missing));
        for right in ["a", "7", "order/7", &"x".repeat(255)] {
            assert!(known.command_name(right).is_ok(), "{right:?}");
        }
        for wrong in ["", "\"\"", "a b", "é", "a\u{7f}", "\t", &"x".repeat(256)] {
            assert!(known.command_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_part_makes_another_key() {
        let open = caller(Authentication::Open);
        let name = |text: &str| open.command_name(text).expect("a UUID");
        let names = ["550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440001"].map(name);
        let mut keys = Vec::new();
        for id in [1, 2].map(|n| SessionId(Uuid::from_bits(n))) {
            for command in ["START", "PAUSE"] {
                for name in &names {
                    for request in [&b""[..], b"{}"] {
                        let origin = open.origin(id, command, Some((name, request)));
                        keys.push(origin.key().expect("it has a name").event());
                    }
                }
            }
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 16);
        assert!(open.origin(SessionId(Uuid::from_bits(1)), "START", None).key().is_none());
    }
}
