//! The decision on a command, as a store calls it: the engine's judgement, encoded, with the notices to subscribers and the
//! audit entry. Pure, so that a store may call it again. Does not know stores.

use std::sync::Arc;

use crate::engine::{
    self, ChangeRecord, Command, Event, Judgement, NewSession, Outcome, Precondition, Refusal, Session, SessionId,
    StateTag, Timestamp,
};
use crate::store::{ArchivedState, Decision, DecisionContext, Mutation, Record, Repetition, Snapshot, Verdict};
use crate::wire;

use super::request::CommandRequest;

/// The longest state that a session may have at its beginning, in bytes.
pub const STATE_LEN_MAX: usize = 700_000;

/// A new session.
pub(super) fn create(new: &NewSession, current: &DecisionContext<'_>) -> Decision {
    match current.repetition {
        Repetition::Replay => return replay(new.id, current),
        Repetition::Mismatch => return nothing(Err(Refusal::OtherCommand)),
        Repetition::New => {}
    }
    if current.record.is_some() {
        return nothing(Err(Refusal::Exists));
    }
    let epoch = current.epoch.max(current.now.as_ms());
    let session = new.create(epoch, current.at);
    if session.controls.is_some() && wire::encode(&session, current.now).len() > STATE_LEN_MAX {
        return nothing(Err(Refusal::StateTooLarge));
    }
    match ChangeRecord::of(None, vec![Event::Created], &session, current.at) {
        Some(entry) => put(session, Vec::new(), entry, current.now, Ok(Outcome::default())),
        None => unreachable!("something happened"),
    }
}

/// A session as time has left it by `now`, under the tag of the stored state: it is not stored.
pub(super) fn settled(before: &Session, now: Timestamp) -> Record {
    let at = now.max(before.updated_at);
    let Judgement { session, .. } = engine::judge(before, &Command::Settle, &Precondition::default(), at);
    Record::new(Session { version: before.version, ..session }, now)
}

/// A change of one, or none when there is none.
pub(super) fn change(id: SessionId, request: &CommandRequest, current: &DecisionContext<'_>) -> Decision {
    match current.repetition {
        Repetition::Replay if matches!(request.command, Command::Delete) => return nothing(Ok(Outcome::default())),
        Repetition::Replay => return replay(id, current),
        Repetition::Mismatch => return nothing(Err(Refusal::OtherCommand)),
        Repetition::New => {}
    }
    let Some(record) = current.record else {
        if current.is_unreadable && matches!(request.command, Command::Delete) {
            return Decision { write: Mutation::Discard, verdict: Ok(Outcome::default()) };
        }
        return nothing(match request.command {
            Command::Delete => Ok(Outcome::default()),
            Command::Settle
            | Command::Start
            | Command::Pause
            | Command::Resume
            | Command::Switch { .. }
            | Command::Complete
            | Command::Cancel
            | Command::Patch(_) => Err(Refusal::NotFound),
        });
    };
    let before = record.session();
    let merged = merged(request, before);
    let command = match &merged {
        Ok(Some(command)) => command,
        Ok(None) => &request.command,
        // What time has done counts, and so does the precondition, although the command is refused.
        Err(_) => &Command::Settle,
    };
    let Judgement { session, mut events, verdict } = engine::judge(before, command, &request.precondition, current.at);
    let verdict = verdict.and_then(|outcome| merged.map(|_| outcome));
    let verdict = verdict.map_err(|refusal| as_conflict(refusal, &session, request, current));
    let notices = notices(id, &events, current.now);
    let is_deleted = matches!((&request.command, &verdict), (Command::Delete, Ok(_)));
    if is_deleted {
        events.push(Event::Deleted);
    }
    let Some(entry) = ChangeRecord::of(Some(before), events, &session, current.at) else { return nothing(verdict) };
    if is_deleted {
        let tag = StateTag { epoch: current.epoch, version: before.version + 1 };
        // A deleted session does not run: the record shows how it ended.
        let session = engine::judge(&session, &Command::Cancel, &Default::default(), current.at).session;
        let last = Arc::new(Record::read(Session { epoch: tag.epoch, version: tag.version, ..session }));
        return Decision {
            write: Mutation::Delete { tag, notice: wire::deleted(id, current.now), last, entry },
            verdict,
        };
    }
    put(Session { epoch: current.epoch, ..session }, notices, entry, current.now, verdict)
}

/// What a command that was carried out before comes to: the session as it is now.
fn replay(id: SessionId, current: &DecisionContext<'_>) -> Decision {
    let request = CommandRequest::from(Command::Settle);
    change(id, &request, &DecisionContext { repetition: Repetition::New, ..*current })
}

/// The command with the metadata that its merge makes, if it has one.
fn merged(request: &CommandRequest, before: &Session) -> Result<Option<Command>, Refusal> {
    let (Command::Patch(settings), Some(merge)) = (&request.command, &request.merge) else { return Ok(None) };
    let metadata = merge.apply(before.metadata.as_deref()).map_err(|wire::TooLarge| Refusal::MetadataTooLarge)?;
    let mut settings = settings.clone();
    settings.metadata = Some(metadata);
    Ok(Some(Command::Patch(settings)))
}

/// A command that was refused because of a change that its sender could not know is a conflict.
fn as_conflict(
    refusal: Refusal,
    session: &Session,
    request: &CommandRequest,
    current: &DecisionContext<'_>,
) -> Refusal {
    if refusal.depends_on_state() && current.changed_since_arrival {
        Refusal::Conflict { actual_version: session.version, expected_version: request.precondition.version }
    } else {
        refusal
    }
}

/// A new state.
fn put(
    session: Session,
    notices: Vec<bytes::Bytes>,
    entry: ChangeRecord,
    now: Timestamp,
    verdict: Verdict,
) -> Decision {
    Decision { write: Mutation::Put { record: Arc::new(Record::new(session, now)), notices, entry }, verdict }
}

/// No change.
pub(super) fn nothing(verdict: Verdict) -> Decision {
    Decision { write: Mutation::Nothing, verdict }
}

/// The notices of clocks that ran out.
fn notices(id: SessionId, events: &[Event], now: Timestamp) -> Vec<bytes::Bytes> {
    wire::expired(id, events, now)
}

/// What time made of a state that the store has dropped.
pub(super) fn last_state(session: Session, archived: &ArchivedState, now: Timestamp) -> Snapshot {
    let before = Session { epoch: archived.tag.epoch, version: archived.tag.version, ..session };
    let Judgement { session, .. } = engine::judge(&before, &Command::Settle, &Default::default(), now);
    Record::new(session, now).snapshot()
}

/// Puts a state back if there is still nothing, with what time has done since.
pub(super) fn recover(session: &Session, archived: &ArchivedState, current: &DecisionContext<'_>) -> Decision {
    if current.record.is_some() {
        return nothing(Ok(Outcome::default()));
    }
    if current.epoch > 0 && !current.is_unreadable {
        // It was deleted meanwhile.
        return nothing(Err(Refusal::NotFound));
    }
    let before = Session { version: archived.tag.version, ..session.clone() };
    let Judgement { session, mut events, .. } =
        engine::judge(&before, &Command::Settle, &Default::default(), current.now);
    let notices = notices(session.id, &events, current.now);
    events.push(Event::Recovered);
    let epoch = current.now.as_ms().max(archived.tag.epoch + 1);
    let session = Session { epoch, version: archived.tag.version + 1, updated_at: current.now, ..session };
    match ChangeRecord::of(Some(&before), events, &session, current.now) {
        Some(entry) => put(session, notices, entry, current.now, Ok(Outcome::default())),
        None => unreachable!("it was recovered"),
    }
}
