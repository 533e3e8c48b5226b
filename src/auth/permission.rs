//! Permissions: what can be allowed, each by a name, and sets of them. Does not know in which sessions they count.

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// What can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To see a session.
    Read,
    /// To follow it over WebSocket.
    Watch,
    /// To start it.
    Start,
    /// To pause it.
    Pause,
    /// To resume it.
    Resume,
    /// To complete it.
    Complete,
    /// To cancel it.
    Cancel,
    /// To end any turn, and to say whose is next.
    Switch,
    /// To end the turns of the participants that the grant names.
    SwitchOwn,
    /// To change its settings and metadata.
    Patch,
    /// To change its metadata.
    PatchMetadata,
    /// To create it.
    Create,
    /// To delete it.
    Delete,
    /// To read its history.
    Events,
    /// To see who is connected.
    Presence,
    /// To list sessions.
    List,
    /// To read metrics.
    Metrics,
    /// To see and mend the server itself.
    Admin,
}

impl Permission {
    /// Each of them.
    pub const ALL: [Self; 18] = [
        Self::Read,
        Self::Watch,
        Self::Start,
        Self::Pause,
        Self::Resume,
        Self::Complete,
        Self::Cancel,
        Self::Switch,
        Self::SwitchOwn,
        Self::Patch,
        Self::PatchMetadata,
        Self::Create,
        Self::Delete,
        Self::Events,
        Self::Presence,
        Self::List,
        Self::Metrics,
        Self::Admin,
    ];

    /// As grants name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Watch => "watch",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
            Self::Switch => "switch",
            Self::SwitchOwn => "switch:own",
            Self::Patch => "patch",
            Self::PatchMetadata => "patch:metadata",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Events => "events",
            Self::Presence => "presence",
            Self::List => "list",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// All but those about the whole installation.
    const STAR: Self =
        Self(Self::EVERY & !(Permission::List.bit() | Permission::Metrics.bit() | Permission::Admin.bit()));
    const EVERY: u32 = (1 << Permission::ALL.len()) - 1;
    /// What a token can hold: the rest is for keys.
    pub(super) const OF_TOKENS: Self = Self(Self::STAR.0 | Permission::List.bit());

    /// Those of a list of names; `*` is all that a session knows. Names that are not known allow nothing, since a newer server may
    /// know them: `unknown` is shown each.
    pub fn named<'n>(names: impl IntoIterator<Item = &'n str>, mut unknown: impl FnMut(&'n str)) -> Self {
        let mut set = Self::default();
        for name in names {
            match Permission::ALL.into_iter().find(|permission| permission.name() == name) {
                Some(permission) => set.0 |= permission.bit(),
                None if name == "*" => set.0 |= Self::STAR.0,
                None => unknown(name),
            }
        }
        set
    }

    /// Whether it is one of them.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }
}

/// Their names.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Permission::ALL.into_iter().filter(|permission| self.has(*permission)).map(Permission::name);
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Permission, Permissions};

    #[test]
    fn names_are_read_and_what_is_unknown_allows_nothing() {
        let mut unknown = Vec::new();
        let set = Permissions::named(["read", "switch:own", "fly", "READ"], |name| unknown.push(name));
        assert_eq!(unknown, ["fly", "READ"]);
        let allowed = Permission::ALL.into_iter().filter(|permission| set.has(*permission));
        assert_eq!(allowed.collect::<Vec<_>>(), [Permission::Read, Permission::SwitchOwn]);
    }

    #[test]
    fn a_star_is_no_permission_about_the_installation() {
        let star = Permissions::named(["*"], |_| {});
        let missing = Permission::ALL.into_iter().filter(|permission| !star.has(*permission));
        assert_eq!(missing.collect::<Vec<_>>(), [Permission::List, Permission::Metrics, Permission::Admin]);
        let missing = Permission::ALL.into_iter().filter(|permission| !Permissions::OF_TOKENS.has(*permission));
        assert_eq!(missing.collect::<Vec<_>>(), [Permission::Metrics, Permission::Admin]);
    }
}
