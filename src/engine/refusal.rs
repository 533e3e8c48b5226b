//! Why a command is refused: an expected answer, not an error. Does not know how clients are answered.

use super::command::ClockSetting;
use super::id::ParticipantId;
use super::session::Status;
use super::time::Millis;

/// The reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such session.
    NotFound,
    /// There is a session of that name already.
    Exists,
    /// The session is not what the caller believed.
    Conflict {
        /// The version that it has.
        actual_version: u64,
        /// The version that the caller named, if any.
        expected_version: Option<u64>,
    },
    /// The status does not allow a start.
    CannotStart(Status),
    /// The status does not allow a pause.
    CannotPause(Status),
    /// The status does not allow a resume.
    CannotResume(Status),
    /// A switch needs a running session.
    NotRunning(Status),
    /// The status does not allow new settings.
    CannotUpdate(Status),
    /// The participant to switch to is not in the session.
    UnknownParticipant(ParticipantId),
    /// The participant to switch to has a clock that flagged.
    ExpiredParticipant(ParticipantId),
    /// The new maximum is below what a participant has used already.
    MaxTimeBelowUsed {
        /// The most that a participant has used.
        used: Millis,
    },
    /// Turns that advance by themselves end with the session's time, which is used up.
    TotalTimeUsed {
        /// The session's time.
        total: Millis,
    },
    /// The session has a time control, which says this.
    SetByTimeControl(ClockSetting),
    /// Under the session's time control no flag can begin the next turn.
    CannotAdvance,
    /// The state would be larger than a state may be.
    StateTooLarge,
    /// The metadata would become longer than it may be.
    MetadataTooLarge,
    /// The key of the command names another one.
    OtherCommand,
}

impl Refusal {
    /// Whether the state of the session is the cause, so that a change which the caller could not know
    /// of may be to blame.
    pub fn depends_on_state(self) -> bool {
        match self {
            Refusal::CannotStart(_)
            | Refusal::CannotPause(_)
            | Refusal::CannotResume(_)
            | Refusal::NotRunning(_)
            | Refusal::CannotUpdate(_)
            | Refusal::ExpiredParticipant(_)
            | Refusal::MaxTimeBelowUsed { .. }
            | Refusal::TotalTimeUsed { .. }
            | Refusal::MetadataTooLarge => true,
            Refusal::NotFound
            | Refusal::Exists
            | Refusal::Conflict { .. }
            | Refusal::UnknownParticipant(_)
            | Refusal::SetByTimeControl(_)
            | Refusal::CannotAdvance
            | Refusal::StateTooLarge
            | Refusal::OtherCommand => false,
        }
    }
}
