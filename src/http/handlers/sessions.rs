//! The endpoints of sessions: read the request, send the command, build the response. Does not know how sessions are kept.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use crate::auth::{Action, Permission};
use crate::engine::{Command, Patch, SessionId};
use crate::problem::Problem;
use crate::sessions::{Applied, CommandRequest, SessionView, Sessions};
use crate::store::{Arrival, PartitionClocks};
use crate::wire::{self, FieldProblems, HistoryQuery, KnownFields, Object};

use super::super::request_context::RequestContext;
use super::super::response::Response;
use super::handling::Handling;
use super::precondition;

/// Says that what time has done is shown and could not be written down.
pub(in crate::http) const SETTLED: HeaderName = HeaderName::from_static("synckairos-settled");
const UNSAVED: HeaderValue = HeaderValue::from_static("unsaved");

pub(in crate::http) async fn create(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    body: &Bytes,
) -> Result<Response, Problem> {
    let mut problems = FieldProblems::new();
    let object = Object::parse(body, &mut problems)?;
    let new = if problems.is_empty() {
        wire::create_with(sessions.default_on_timeout(), &object, &mut problems)
    } else {
        None
    };
    context.handling.check(&object, KnownFields::CREATE, &mut problems);
    let new = new.filter(|_| problems.is_empty());
    let new = new.ok_or_else(|| Problem::invalid(problems))?;
    context.caller.permit(new.id, Action::Use(Permission::Create)).map_err(Problem::denied)?;
    let arrival = sessions.arrive(new.id);
    let done = sessions.create(arrival, new).await?;
    Ok(state(StatusCode::CREATED, &done))
}

pub(in crate::http) async fn read(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: &str,
) -> Result<Response, Problem> {
    let SessionView { snapshot, now, is_unsaved } = sessions.read(session_id(id)?).await?;
    if is_unsaved {
        // A client that has the state of this tag does not have what time has done since.
        let reply = Response::session(StatusCode::OK, wire::session(snapshot.body, now), snapshot.tag);
        return Ok(reply.with(SETTLED, UNSAVED));
    }
    if precondition::is_known(context.headers(), snapshot.tag) {
        return Ok(Response::not_modified(snapshot.tag));
    }
    Ok(Response::session(StatusCode::OK, wire::session(snapshot.body, now), snapshot.tag))
}

/// A change that has no fields; whatever the body says is ignored, unless that is not wanted.
pub(in crate::http) async fn transition(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: &str,
    body: &Bytes,
    command: Command,
) -> Result<Response, Problem> {
    let (id, arrival) = without_fields(context, sessions, id, body)?;
    let request = CommandRequest { precondition: precondition::of_change(context.headers(), None), ..command.into() };
    let done = sessions.change(id, arrival, request).await.result?;
    Ok(state(StatusCode::OK, &done))
}

pub(in crate::http) async fn patch(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: &str,
    body: &Bytes,
) -> Result<Response, Problem> {
    let (id, arrival, patch) = named(sessions, id, body, wire::patch)?;
    let is_metadata_only = patch.settings == Patch::default();
    context.caller.permit(id, Action::Patch { is_metadata_only }).map_err(Problem::denied)?;
    let request = CommandRequest {
        command: Command::Patch(patch.settings),
        merge: patch.merge,
        precondition: precondition::of_change(context.headers(), patch.expected_version),
        client: None,
    };
    let done = sessions.change(id, arrival, request).await.result?;
    Ok(state(StatusCode::OK, &done))
}

pub(in crate::http) async fn switch(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: &str,
    body: &Bytes,
) -> Result<Response, Problem> {
    let (id, arrival, mut switch) = named(sessions, id, body, |object, problems| {
        let switch = wire::switch(object, problems);
        context.handling.check(object, KnownFields::SWITCH, problems);
        switch.filter(|_| problems.is_empty())
    })?;
    let action = Action::Switch { next: switch.next, current: &mut switch.current };
    context.caller.permit(id, action).map_err(Problem::denied)?;
    let command = Command::Switch { next: switch.next, current: switch.current };
    let precondition = precondition::of_change(context.headers(), switch.expected_version);
    let request = CommandRequest { command, merge: None, precondition, client: Some(context.caller.counted()) };
    let asked = sessions.change(id, arrival, request).await;
    let answer = asked.result.map(|done| match &done.record {
        Some(record) => {
            let text = wire::switched(record.session(), record.encoded(), done.outcome, done.now);
            Response::session(StatusCode::OK, text, record.session().tag())
        }
        None => Response::empty(StatusCode::NO_CONTENT),
    });
    let reply = Response::from(answer.map_err(Problem::from));
    Ok(Response { rate_limit: asked.quota, ..reply })
}

/// The end of a session; with `history=1` of all that is known of it.
pub(in crate::http) async fn delete(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: &str,
    body: &Bytes,
) -> Result<Response, Problem> {
    let (id, arrival) = without_fields(context, sessions, id, body)?;
    let is_of_history = wire::names_history(context.query());
    if is_of_history {
        context.caller.permit_any(Permission::Admin).map_err(Problem::denied)?;
    }
    let request =
        CommandRequest { precondition: precondition::of_change(context.headers(), None), ..Command::Delete.into() };
    sessions.change(id, arrival, request).await.result?;
    if is_of_history {
        sessions.erase(id).await?;
    }
    Ok(Response::empty(StatusCode::NO_CONTENT))
}

/// What is written down of a session.
pub(in crate::http) async fn events(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    clocks: &dyn PartitionClocks,
    id: &str,
) -> Result<Response, Problem> {
    let mut problems = FieldProblems::new();
    let id = wire::session_id(id, &mut problems);
    let query = wire::history_query(context.query(), &mut problems);
    let (Some(id), Some(HistoryQuery { after, limit })) = (id, query) else { return Err(Problem::invalid(problems)) };
    let page = sessions.history(id, after, limit).await?;
    let (now, next) = (clocks.now_near(id).await?, page.next(after));
    let jobs = page.changes.iter().map(|change| &change.job[..]);
    Ok(Response::fresh(StatusCode::OK, wire::history(jobs, next, page.has_more, page.queued, now)))
}

/// The session that a path names, the arrival of the request, and what the body asks for; or everything
/// that is wrong, the path first.
fn named<T>(
    sessions: &Sessions,
    id: &str,
    body: &Bytes,
    read: impl FnOnce(&Object<'_>, &mut FieldProblems) -> Option<T>,
) -> Result<(SessionId, Arrival, T), Problem> {
    let mut problems = FieldProblems::new();
    let id = wire::session_id(id, &mut problems);
    let arrival = id.map(|id| sessions.arrive(id));
    let found = problems.len();
    let object = match Object::parse(body, &mut problems) {
        Ok(object) => object,
        Err(_) if found > 0 => return Err(Problem::invalid(problems)),
        Err(not_json) => return Err(not_json.into()),
    };
    let request = if problems.len() == found { read(&object, &mut problems) } else { None };
    match (id, arrival, request) {
        (Some(id), Some(arrival), Some(request)) => Ok((id, arrival, request)),
        _ => Err(Problem::invalid(problems)),
    }
}

/// The session that a path names, and the arrival of a request that has no fields.
fn without_fields(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: &str,
    body: &Bytes,
) -> Result<(SessionId, Arrival), Problem> {
    if context.handling == Handling::Lenient {
        let id = session_id(id)?;
        return Ok((id, sessions.arrive(id)));
    }
    let (id, arrival, ()) = named(sessions, id, body, |object, problems| {
        context.handling.check(object, KnownFields::NONE, problems);
        problems.is_empty().then_some(())
    })?;
    Ok((id, arrival))
}

fn session_id(id: &str) -> Result<SessionId, Problem> {
    let mut problems = FieldProblems::new();
    wire::session_id(id, &mut problems).ok_or_else(|| Problem::invalid(problems))
}

fn state(status: StatusCode, done: &Applied) -> Response {
    match &done.record {
        Some(record) => {
            Response::session(status, wire::session(record.encoded().body(), done.now), record.session().tag())
        }
        None => Response::empty(StatusCode::NO_CONTENT),
    }
}
