//! A command with all that a client sends beside it. Does not know over which protocol.

use crate::client::ClientId;
use crate::engine::{Command, ParticipantId, Precondition};
use crate::store::CommandOrigin;
use crate::wire::Merge;

/// A command and what must hold for it.
#[derive(Debug)]
pub struct CommandRequest {
    /// The command.
    pub command: Command,
    /// The change of metadata that belongs to a [`Command::Patch`].
    pub merge: Option<Merge>,
    /// What the caller believes the session to be.
    pub precondition: Precondition,
    /// Whose switches a limit counts this with; `None` for those of the session that are nobody's own.
    pub participant: Option<ParticipantId>,
    /// The client, if its refusals are counted.
    pub client: Option<ClientId>,
    /// Who sends it, and what they call it.
    pub origin: CommandOrigin,
}

impl From<Command> for CommandRequest {
    fn from(command: Command) -> Self {
        Self {
            command,
            merge: None,
            precondition: Precondition::default(),
            participant: None,
            client: None,
            origin: CommandOrigin::default(),
        }
    }
}
