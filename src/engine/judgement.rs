//! The result of judging a command. Does not know how it is found.

use super::event::Event;
use super::id::ParticipantId;
use super::refusal::Refusal;
use super::session::Session;

/// A session after a command, and the answer to it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The session afterwards. Equal to the one before when there are no events.
    pub session: Session,
    /// The events, in order; together they make one change and one version.
    pub events: Vec<Event>,
    /// The answer to the command.
    pub verdict: Result<Outcome, Refusal>,
}

/// A command was applied, or came too late to matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For a switch: the one whose clock flagged before the switch could end the turn.
    pub expired: Option<ParticipantId>,
    /// A switch that came too late: nothing was done.
    pub late: bool,
}
