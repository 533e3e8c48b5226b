//! What a clock means. Pure: every rule is a function of a session, a command and an instant, and
//! nothing counts down. Knows nothing of JSON, sockets, storage or the time of day; imports `std` only.
//!
//! Read in this order: [`Session`] (what there is), `budget` (what a turn may use and what it costs), `controls` and `control`
//! (the same under a time control),
//! `settle` (what time alone has done), `apply` (how a command is judged).

mod apply;
mod budget;
mod command;
mod control;
mod controls;
mod create;
mod defect;
mod change_record;
mod event;
mod id;
mod invariants;
mod judgement;
mod rebase;
mod refusal;
mod rotation;
mod session;
mod session_controls;
mod settle;
#[cfg(test)]
mod tests;
mod time;
mod turn;
mod warning;

pub use apply::judge;
pub use change_record::{ChangeKind, ChangeRecord};
pub use command::{ClockSetting, Command, Patch, Precondition, StateTag};
pub use control::{
    Boundary, BoundaryKind, ClockPhase, ClockView, Control, Penalty, Refill, Segments, Stage, StageSystem, System,
};
pub use create::{NewControls, NewParticipant, NewSession};
pub use defect::defect;
pub use event::Event;
pub use id::{GroupId, ParticipantId, SessionId, Uuid};
pub use invariants::{violation, violation_between};
pub use judgement::{Judgement, Outcome};
pub use refusal::Refusal;
pub use session::{Group, Mode, OnTimeout, Participant, Session, Status, Turn};
pub use session_controls::{ControlRules, SessionControls};
pub use time::{Millis, Timestamp};
pub use warning::Warning;
