//! What a command comes to in a state: a new one, or a refusal. Does not know what was answered to anybody.

use super::model::{Session, State};
use super::operation::{Ask, Moves, RefusalKind, Status};

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub state: State,
    pub outcome: Outcome,
    /// Whether `state` is another one than before.
    pub is_changed: bool,
    /// Whether running clocks ended first, in the same change.
    pub is_settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Late,
    Gone,
    Refused(RefusalKind),
}

/// Everything that a command can come to: as the clocks stand, and with clocks that end first.
#[must_use]
pub fn outcomes(state: &State, ask: &Ask) -> Vec<Judged> {
    let mut all = vec![judge(state, state, ask)];
    match ask {
        // It asks only whether there is a session.
        Ask::Create { .. } => {}
        Ask::Read
        | Ask::Start
        | Ask::Switch(_)
        | Ask::Pause
        | Ask::Resume
        | Ask::Patch { .. }
        | Ask::Complete
        | Ask::Cancel
        | Ask::Delete { .. } => all.extend(state.flagged().iter().map(|settled| judge(state, settled, ask))),
    }
    all
}

/// What it comes to in `stored`, which is `settled` when time is taken into account.
#[must_use]
pub fn judge(stored: &State, settled: &State, ask: &Ask) -> Judged {
    let is_settled = stored != settled;
    let answer = |state: State, outcome, is_changed: bool| Judged {
        state,
        outcome,
        is_changed: is_changed || is_settled,
        is_settled,
    };
    let unchanged = |outcome| answer(settled.clone(), outcome, false);
    let (Some(before), Some(session)) = (stored.session(), settled.session()) else {
        return match ask {
            Ask::Create { participants, on_timeout } => {
                let session = Session {
                    version: 1,
                    status: Status::Pending,
                    active: None,
                    out: 0,
                    mark: None,
                    participants: *participants,
                    on_timeout: *on_timeout,
                };
                answer(stored.changed(session), Outcome::Done, true)
            }
            Ask::Delete { .. } => unchanged(Outcome::Gone),
            Ask::Read
            | Ask::Start
            | Ask::Switch(_)
            | Ask::Pause
            | Ask::Resume
            | Ask::Patch { .. }
            | Ask::Complete
            | Ask::Cancel => unchanged(Outcome::Refused(RefusalKind::NotFound)),
        };
    };
    if matches!(ask, Ask::Create { .. }) {
        return unchanged(Outcome::Refused(RefusalKind::Exists));
    }
    if matches!(ask, Ask::Read) {
        return unchanged(Outcome::Done);
    }
    if is_late(session, ask) {
        return unchanged(Outcome::Late);
    }
    let conflict = RefusalKind::Conflict { actual: session.version };
    if !holds(stored, before, ask) {
        return unchanged(Outcome::Refused(conflict));
    }
    if matches!(ask, Ask::Delete { .. }) {
        return answer(settled.deleted(), Outcome::Gone, true);
    }
    match carry_out(session, ask, conflict) {
        Ok(Some(mut next)) => {
            // What time did and what was asked are one change.
            next.version = before.version + 1;
            answer(settled.changed(next), Outcome::Done, true)
        }
        Ok(None) => unchanged(Outcome::Done),
        Err(refusal) => unchanged(Outcome::Refused(refusal)),
    }
}

fn is_late(session: &Session, ask: &Ask) -> bool {
    let Ask::Switch(Moves { current, .. }) = ask else { return false };
    let has_flagged = |participant: u8| session.is_out(participant) && session.active != Some(participant);
    session.status == Status::Expired || current.is_some_and(has_flagged)
}

/// Whether the stored session is what the caller believes.
fn holds(stored: &State, before: &Session, ask: &Ask) -> bool {
    match ask {
        Ask::Switch(Moves { expected, .. }) | Ask::Patch { expected, .. } => {
            expected.is_none_or(|expected| expected == before.version)
        }
        Ask::Delete { expected } => expected.is_none_or(|expected| {
            expected.version == before.version && stored.epoch.is_none_or(|epoch| epoch == expected.epoch)
        }),
        Ask::Create { .. } | Ask::Read | Ask::Start | Ask::Pause | Ask::Resume | Ask::Complete | Ask::Cancel => true,
    }
}

/// The session after a command, `None` when it changes nothing.
fn carry_out(session: &Session, ask: &Ask, conflict: RefusalKind) -> Result<Option<Session>, RefusalKind> {
    let mut next = session.clone();
    let requires = |status: Status| match session.status == status {
        true => Ok(()),
        false => Err(RefusalKind::WrongStatus(session.status)),
    };
    match ask {
        Ask::Start => {
            requires(Status::Pending)?;
            (next.status, next.active) = (Status::Running, Some(0));
        }
        Ask::Pause => {
            requires(Status::Running)?;
            next.status = Status::Paused;
        }
        Ask::Resume => {
            requires(Status::Paused)?;
            next.status = Status::Running;
        }
        Ask::Switch(moves) => {
            requires(Status::Running)?;
            if moves.current.is_some_and(|current| session.active != Some(current)) {
                return Err(conflict);
            }
            next.active = match moves.next {
                Some(other) if session.is_out(other) => return Err(RefusalKind::OutOfTime),
                Some(other) => Some(other),
                None => session.active.and_then(|active| session.next(active)),
            };
            if next.active.is_none() {
                next.end(Status::Expired);
            }
        }
        Ask::Patch { mark, .. } => next.mark = Some(*mark),
        Ask::Complete | Ask::Cancel if session.status.is_final() => return Ok(None),
        Ask::Complete => next.end(Status::Completed),
        Ask::Cancel => next.end(Status::Cancelled),
        Ask::Create { .. } | Ask::Read | Ask::Delete { .. } => return Ok(None),
    }
    Ok(Some(next))
}

impl Judged {
    /// Whether it was refused, or would be as it stands, for what the session is.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(_))
    }
}
