//! What clients ask and are told, as the checker of histories takes it, and its judgement. It knows sessions with a clock for
//! each participant only: others are not judged. Does not know how a client asks.

use std::collections::BTreeMap;
use std::time::Duration;

use histories::{
    Answer, Ask, History, Instant, Moves, OnTimeout, Operation, RefusalKind, Rules, Status, Tag, Verdict, View,
};
use serde_json::Value;
use synckairos::engine::{self, Mode, NewSession, Refusal, Session, SessionId, StateTag};
use synckairos::sessions::{Applied, Failure, SessionView};

use super::operation::{self, Kind};
use super::plan::Disturbance;
use super::run::Outcome;

/// What is asked; `None` when the checker does not know such sessions.
pub(super) fn ask(kind: Kind, new: &NewSession, number: u64) -> Option<Ask> {
    Some(match kind {
        Kind::Create if new.mode != Mode::PerParticipant => return None,
        Kind::Create => Ask::Create {
            participants: u8::try_from(new.participants.len()).ok()?,
            on_timeout: match new.on_timeout {
                engine::OnTimeout::Expire => OnTimeout::Expire,
                engine::OnTimeout::Advance => OnTimeout::Advance,
                engine::OnTimeout::Notify => return None,
            },
        },
        Kind::Start => Ask::Start,
        Kind::Switch => Ask::Switch(Moves::default()),
        Kind::Pause => Ask::Pause,
        Kind::Resume => Ask::Resume,
        Kind::Patch => Ask::Patch { mark: number, expected: None },
        Kind::Complete => Ask::Complete,
        Kind::Cancel => Ask::Cancel,
        Kind::Delete => Ask::Delete { expected: None },
        Kind::Read => Ask::Read,
    })
}

/// What whoever changes a session is told.
pub(super) fn changed(result: &Result<Applied, Failure>) -> Option<Answer> {
    match result {
        Ok(Applied { record: Some(record), outcome, .. }) => {
            let view = view(record.session());
            Some(if outcome.late { Answer::Late(view) } else { Answer::Done(view) })
        }
        Ok(Applied { record: None, .. }) => Some(Answer::Gone),
        Err(failure) => failed(failure),
    }
}

/// What whoever reads one is told.
pub(super) fn read(result: &Result<SessionView, Failure>) -> Option<Answer> {
    match result {
        // Time has done what nobody could write down: it has no name.
        Ok(SessionView { is_unsaved: true, .. }) => Some(Answer::NotDone),
        Ok(SessionView { snapshot, .. }) => {
            let mut members = b"{".to_vec();
            snapshot.body.write_members(&mut members);
            let body = serde_json::from_slice(&members).ok()?;
            Some(Answer::Done(shown(&body, snapshot.tag)?))
        }
        Err(failure) => failed(failure),
    }
}

fn failed(failure: &Failure) -> Option<Answer> {
    let Failure::Refused(_, refusal) = failure else {
        let is_unknown = operation::Answer::of_failure(failure) == operation::Answer::Unknown;
        return Some(if is_unknown { Answer::Unknown } else { Answer::NotDone });
    };
    let kind = match *refusal {
        Refusal::NotFound => RefusalKind::NotFound,
        Refusal::Exists => RefusalKind::Exists,
        Refusal::Conflict { actual_version, .. } => RefusalKind::Conflict { actual: actual_version },
        Refusal::CannotStart(status)
        | Refusal::CannotPause(status)
        | Refusal::CannotResume(status)
        | Refusal::NotRunning(status)
        | Refusal::CannotUpdate(status) => RefusalKind::WrongStatus(status_of(status)),
        Refusal::ExpiredParticipant(_) => RefusalKind::OutOfTime,
        Refusal::UnknownParticipant(_)
        | Refusal::MaxTimeBelowUsed { .. }
        | Refusal::TotalTimeUsed { .. }
        | Refusal::SetByTimeControl(_)
        | Refusal::CannotAdvance
        | Refusal::StateTooLarge
        | Refusal::MetadataTooLarge
        | Refusal::OtherCommand => return None,
    };
    Some(Answer::Refused(kind))
}

fn view(session: &Session) -> View {
    let StateTag { epoch, version } = session.tag();
    let out = session.participants.iter().enumerate().filter(|(_, participant)| participant.has_expired);
    let mark = session.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()).and_then(|it| mark(&it));
    View {
        tag: Tag { epoch, version },
        status: status_of(session.status),
        active: session.turn.as_ref().and_then(|turn| u8::try_from(turn.participant).ok()),
        out: out.fold(0, |out, (index, _)| out | 1 << index),
        mark: Some(mark),
        deadline: None,
    }
}

/// The same of a state in JSON.
fn shown(state: &Value, tag: StateTag) -> Option<View> {
    let participants = state["participants"].as_array()?;
    let place = |id: &Value| participants.iter().position(|participant| participant["participant_id"] == *id);
    let out = participants.iter().enumerate().filter(|(_, participant)| participant["has_expired"] == true);
    Some(View {
        tag: Tag { epoch: tag.epoch, version: tag.version },
        status: status_of(engine::Status::ALL.into_iter().find(|status| state["status"] == status.name())?),
        active: place(&state["active_participant_id"]).and_then(|place| u8::try_from(place).ok()),
        out: out.fold(0, |out, (index, _)| out | 1 << index),
        mark: Some(mark(&state["metadata"])),
        deadline: None,
    })
}

fn mark(metadata: &Value) -> Option<u64> {
    metadata["operation"].as_u64()
}

fn status_of(status: engine::Status) -> Status {
    match status {
        engine::Status::Pending => Status::Pending,
        engine::Status::Running => Status::Running,
        engine::Status::Paused => Status::Paused,
        engine::Status::Expired => Status::Expired,
        engine::Status::Completed => Status::Completed,
        engine::Status::Cancelled => Status::Cancelled,
    }
}

/// Sessions whose operations have no order that explains what clients were told. Where Redis loses changes nobody says when, so
/// that there is nothing to judge by.
pub(super) fn without_order(outcome: &Outcome) -> Vec<String> {
    if outcome.plan.disturbances.contains(&Disturbance::LoseWrites) {
        return Vec::new();
    }
    let mut histories: BTreeMap<SessionId, Option<History>> = BTreeMap::new();
    for operation in outcome.history.iter().chain(&outcome.last) {
        let history = histories.entry(operation.session).or_insert_with(|| Some(History::default()));
        match (history.as_mut(), judged(operation)) {
            (Some(history), Some(operation)) => history.operations.push(operation),
            (_, None) => *history = None,
            (None, Some(_)) => {}
        }
    }
    let mut wrong = Vec::new();
    for (id, history) in histories {
        let Some(history) = history else { continue };
        if let Verdict::Wrong(violation) = histories::check_and_shrink(&history, &Rules::default()) {
            wrong.push(format!("{id}: {violation}"));
        }
    }
    wrong
}

fn judged(operation: &operation::Operation) -> Option<Operation> {
    Some(Operation {
        client: u32::try_from(operation.instance).unwrap_or(u32::MAX),
        invoked: instant(operation.asked_at),
        returned: instant(operation.answered_at),
        ask: operation.ask?,
        answer: operation.told.clone()?,
    })
}

fn instant(at: Duration) -> Instant {
    u64::try_from(at.as_nanos()).unwrap_or(Instant::MAX)
}
