//! Where a command comes from, and by which key it is known when it comes again. A key is an event id: a change that a keyed
//! command makes is called by it, and sessions remember their latest events. Does not know how a client names a command.

use std::sync::Arc;

use crate::engine::Uuid;
use crate::wire::{self, EventIds};

/// Bits at the end of a key that say what was asked for; those before them say what it is called.
const REQUEST_BITS: u32 = 32;

/// Where a command comes from. By default nobody sends it. Cloning shares it: one word, since it goes through every future.
#[derive(Clone, Debug, Default)]
pub struct CommandOrigin(Option<Arc<KnownOrigin>>);

#[derive(Debug, Default)]
struct KnownOrigin {
    /// Who sends it, as the history names them.
    actor: Option<Arc<str>>,
    /// What its sender calls it.
    key: Option<CommandKey>,
    /// Of a session that is brought back: its latest events that have keys.
    remembered: Option<Box<EventIds>>,
}

/// The key of a command: the event id of the change that it makes. Equal names come from one sender who calls two commands
/// alike, equal keys from the same command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandKey(Uuid);

/// Whether a command was carried out before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repetition {
    /// No, as far as is remembered.
    #[default]
    New,
    /// It was.
    Replay,
    /// Another one was that has its name.
    Mismatch,
}

impl CommandKey {
    /// The key of a name, of which as much counts as there is room for, and of what is asked for: a UUID of version 8
    /// (RFC 9562, section 5.8).
    pub fn new(name: [u8; 12], request: [u8; 4]) -> Self {
        let high = name.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let bits = high << REQUEST_BITS | u128::from(u32::from_be_bytes(request));
        let plain = bits & !(0xf << 76) & !(0b11 << 62);
        Self(Uuid::from_bits(plain | 8 << 76 | 0b10 << 62))
    }

    /// The event id.
    pub fn event(self) -> Uuid {
        self.0
    }

    fn has_name_of(self, event: Uuid) -> bool {
        self.0.bits() >> REQUEST_BITS == event.bits() >> REQUEST_BITS
    }
}

impl CommandOrigin {
    /// Who sends a command, as the history names them, and what they call it.
    pub fn new(actor: Option<Arc<str>>, key: Option<CommandKey>) -> Self {
        let is_known = actor.is_some() || key.is_some();
        Self(is_known.then(|| Arc::new(KnownOrigin { actor, key, remembered: None })))
    }

    /// Of a session that is brought back: its latest events that have keys.
    pub fn remembering(events: Option<Box<EventIds>>) -> Self {
        Self(events.map(|events| Arc::new(KnownOrigin { remembered: Some(events), ..KnownOrigin::default() })))
    }

    /// What its sender calls it.
    pub fn key(&self) -> Option<CommandKey> {
        self.0.as_ref()?.key
    }

    pub(in crate::store) fn actor(&self) -> Option<Arc<str>> {
        self.0.as_ref()?.actor.clone()
    }

    pub(in crate::store) fn remembered(&self) -> Option<&EventIds> {
        self.0.as_ref()?.remembered.as_deref()
    }

    /// Whether the command was carried out before, by the events that a session remembers.
    #[inline]
    pub(in crate::store) fn repetition(&self, events: &[Uuid]) -> Repetition {
        let Some(key) = self.key() else { return Repetition::New };
        match events.iter().rev().find(|event| key.has_name_of(**event)) {
            Some(event) if *event == key.event() => Repetition::Replay,
            Some(_) => Repetition::Mismatch,
            None => Repetition::New,
        }
    }

    /// The id of the event that the command makes, where it has a key.
    pub(in crate::store) fn event(&self) -> Option<Uuid> {
        self.key().map(CommandKey::event).filter(|event| wire::is_keyed(*event))
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandKey, CommandOrigin, Repetition};
    use crate::engine::Uuid;

    #[test]
    fn a_key_is_a_uuid_of_version_8_that_says_what_it_names() {
        let key = CommandKey::new([0xff; 12], [1, 2, 3, 4]);
        assert_eq!(key.event().to_string(), "ffffffff-ffff-8fff-bfff-ffff01020304");
        assert_eq!(Uuid::parse(&key.event().to_string()), Some(key.event()));
        let origin = CommandOrigin::new(None, Some(key));
        let other = CommandKey::new([0xff; 12], [1, 2, 3, 5]).event();
        let stranger = CommandKey::new([0xfe; 12], [1, 2, 3, 4]).event();
        for (events, expected) in [
            (&[][..], Repetition::New),
            (&[stranger], Repetition::New),
            (&[stranger, key.event(), stranger], Repetition::Replay),
            (&[other], Repetition::Mismatch),
        ] {
            assert_eq!(origin.repetition(events), expected, "{events:?}");
            assert_eq!(CommandOrigin::default().repetition(events), Repetition::New);
        }
    }
}
