//! The one judgement of what somebody may do, for REST and WebSocket alike: a pure function of grants and what is asked. Does not
//! know whether a session exists, nor what state it is in.

use crate::engine::{ParticipantId, SessionId};

use super::grant::Grant;
use super::identity::Identity;
use super::permission::{Permission, Permissions};

/// What is asked.
#[derive(Debug)]
pub enum Action<'a> {
    /// What one permission allows.
    Use(Permission),
    /// A switch of which the rest is not known yet.
    SomeSwitch,
    /// A switch.
    Switch {
        /// Whose turn is to begin.
        next: Option<ParticipantId>,
        /// Whose turn is to end: for those who may end their own turns only, it is set to theirs.
        current: &'a mut Option<ParticipantId>,
        /// Set to whose turn it ends, for those who may end their own turns only: the switch counts as theirs.
        own: &'a mut Option<ParticipantId>,
    },
    /// A change of settings of which the rest is not known yet.
    SomePatch,
    /// A change of settings.
    Patch {
        /// It changes metadata and nothing else.
        is_metadata_only: bool,
    },
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A permission is missing.
    Needs(Permission),
    /// A switch must say whose turn it ends, since it could be one of several.
    MustName,
    /// Nobody asks.
    Nobody,
    /// Who asks is nobody in this session any more.
    Revoked,
}

/// Whether somebody may do something to a session.
pub fn permit(identity: &Identity, id: SessionId, action: Action<'_>) -> Result<(), Denied> {
    if identity.is_revoked_in(id) {
        return Err(Denied::Revoked);
    }
    let is_in_reach = identity.ceiling.iter().any(|pattern| pattern.matches(id));
    let grants = || identity.grants.iter().filter(|grant| is_in_reach && grant.covers(id));
    let all = grants().fold(Permissions::default(), |all, grant| all | grant.allow);
    let needs = |permission| if all.has(permission) { Ok(()) } else { Err(Denied::Needs(permission)) };
    let own = |grant: &&Grant| grant.allow.has(Permission::SwitchOwn);
    let mut participants = grants().filter(own).flat_map(|grant| &grant.participants);
    match action {
        Action::Use(permission) => needs(permission),
        Action::SomeSwitch if participants.next().is_some() => Ok(()),
        Action::SomeSwitch => needs(Permission::Switch),
        Action::Switch { .. } if all.has(Permission::Switch) => Ok(()),
        Action::Switch { next: Some(_), .. } => Err(Denied::Needs(Permission::Switch)),
        Action::Switch { next: None, current, own } => {
            let mine = match *current {
                Some(named) => participants.find(|mine| **mine == named),
                None => participants.next(),
            };
            let mine = mine.copied().ok_or(Denied::Needs(Permission::Switch))?;
            if current.is_none() && participants.any(|other| *other != mine) {
                return Err(Denied::MustName);
            }
            (*current, *own) = (Some(mine), Some(mine));
            Ok(())
        }
        Action::SomePatch | Action::Patch { is_metadata_only: true } if all.has(Permission::PatchMetadata) => Ok(()),
        Action::SomePatch | Action::Patch { .. } => needs(Permission::Patch),
    }
}

/// Whether somebody may do something about the installation, or to a session that is not known yet.
pub fn permit_any(identity: &Identity, permission: Permission) -> Result<(), Denied> {
    match identity.grants.iter().any(|grant| grant.allow.has(permission)) {
        true => Ok(()),
        false => Err(Denied::Needs(permission)),
    }
}

#[cfg(test)]
mod tests;
