//! The endpoints of sessions: read the request, send the command, build the response. Does not know how sessions are kept.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use crate::auth::{Action, Permission};
use crate::caller::CommandName;
use crate::engine::{Command, NewSession, Patch, SessionId};
use crate::problem::Problem;
use crate::sessions::{Applied, CommandRequest, SessionView, Sessions};
use crate::store::{Arrival, PartitionClocks};
use crate::wire::{self, FieldProblems, HistoryQuery, KnownFields, Object, word};

use super::super::idempotency;
use super::super::request_context::RequestContext;
use super::super::response::Response;
use super::handling::Handling;
use super::precondition;

/// Says that what time has done is shown and could not be written down.
pub(in crate::http) const SETTLED: HeaderName = HeaderName::from_static("synckairos-settled");
const UNSAVED: HeaderValue = HeaderValue::from_static("unsaved");

/// What the sender calls a request, and all that it asks for.
type NamedRequest = (CommandName, Vec<u8>);

pub(in crate::http) async fn create(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    body: &Bytes,
) -> Result<Response, Problem> {
    let (new, named) = new_session(context, sessions, body)?;
    context.caller.permit(new.id, Action::Use(Permission::Create)).map_err(Problem::denied)?;
    let arrival = sessions.arrive(new.id);
    let origin = context.caller.origin(new.id, "CREATE", named.as_ref().map(|(name, request)| (name, &**request)));
    let reply = sessions.create_by(origin, arrival, new).await;
    Ok(idempotency::answer(reply, |done| state(StatusCode::CREATED, done)))
}

/// What a request to create asks for, and by which name. A future that held the fields would be as large as all of them.
fn new_session(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    body: &Bytes,
) -> Result<(NewSession, Option<NamedRequest>), Problem> {
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
    let name = idempotency::name(&context.caller, context.headers())?;
    let request = requested(&name, &object);
    Ok((new, name.zip(request)))
}

pub(in crate::http) async fn read(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: Option<SessionId>,
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
    id: Option<SessionId>,
    body: &Bytes,
    command: Command,
) -> Result<Response, Problem> {
    let (id, arrival) = without_fields(context, sessions, id, body)?;
    let name = idempotency::name(&context.caller, context.headers())?;
    let precondition = precondition::of_change(context.headers(), None);
    let origin = context.caller.origin(id, word(&command), name.as_ref().map(|name| (name, &b""[..])));
    let request = CommandRequest { precondition, origin, ..command.into() };
    let reply = sessions.change(id, arrival, request).await;
    Ok(idempotency::answer(reply, |done| state(StatusCode::OK, done)))
}

pub(in crate::http) async fn patch(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: Option<SessionId>,
    body: &Bytes,
) -> Result<Response, Problem> {
    let name = idempotency::name(&context.caller, context.headers())?;
    let mut request = None;
    let (id, arrival, patch) = named(sessions, id, body, |object, problems| {
        request = requested(&name, object);
        wire::patch(object, problems)
    })?;
    let is_metadata_only = patch.settings == Patch::default();
    context.caller.permit(id, Action::Patch { is_metadata_only }).map_err(Problem::denied)?;
    let request = CommandRequest {
        origin: context.caller.origin(id, "UPDATE", name.as_ref().zip(request.as_deref())),
        command: Command::Patch(patch.settings),
        merge: patch.merge,
        precondition: precondition::of_change(context.headers(), patch.expected_version),
        participant: None,
        client: None,
    };
    let reply = sessions.change(id, arrival, request).await;
    Ok(idempotency::answer(reply, |done| state(StatusCode::OK, done)))
}

pub(in crate::http) async fn switch(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: Option<SessionId>,
    body: &Bytes,
) -> Result<Response, Problem> {
    let name = idempotency::name(&context.caller, context.headers())?;
    let mut request = None;
    let (id, arrival, mut switch) = named(sessions, id, body, |object, problems| {
        request = requested(&name, object);
        let switch = wire::switch(object, problems);
        context.handling.check(object, KnownFields::SWITCH, problems);
        switch.filter(|_| problems.is_empty())
    })?;
    let mut participant = None;
    let action = Action::Switch { next: switch.next, current: &mut switch.current, own: &mut participant };
    context.caller.permit(id, action).map_err(Problem::denied)?;
    let command = Command::Switch { next: switch.next, current: switch.current };
    let precondition = precondition::of_change(context.headers(), switch.expected_version);
    let origin = context.caller.origin(id, word(&command), name.as_ref().zip(request.as_deref()));
    let client = Some(context.caller.counted());
    let request = CommandRequest { command, merge: None, precondition, participant, client, origin };
    let reply = sessions.change(id, arrival, request).await;
    Ok(idempotency::answer(reply, |done| match &done.record {
        Some(record) => {
            let text = wire::switched(record.session(), record.encoded(), done.outcome, done.now);
            Response::session(StatusCode::OK, text, record.session().tag())
        }
        None => Response::empty(StatusCode::NO_CONTENT),
    }))
}

/// The end of a session; with `history=1` of all that is known of it.
pub(in crate::http) async fn delete(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    id: Option<SessionId>,
    body: &Bytes,
) -> Result<Response, Problem> {
    let (id, arrival) = without_fields(context, sessions, id, body)?;
    let is_of_history = wire::names_history(context.query());
    if is_of_history {
        context.caller.permit_any(Permission::Admin).map_err(Problem::denied)?;
    }
    let name = idempotency::name(&context.caller, context.headers())?;
    let asked_for = if is_of_history { &b"history"[..] } else { b"" };
    let origin = context.caller.origin(id, word(&Command::Delete), name.as_ref().map(|name| (name, asked_for)));
    let precondition = precondition::of_change(context.headers(), None);
    let request = CommandRequest { precondition, origin, ..Command::Delete.into() };
    let reply = sessions.change(id, arrival, request).await;
    // One that is sent again after the session came back erases nothing of it.
    if is_of_history && reply.result.as_ref().is_ok_and(|done| done.record.is_none()) {
        sessions.erase(id).await?;
    }
    Ok(idempotency::answer(reply, |_| Response::empty(StatusCode::NO_CONTENT)))
}

/// What is written down of a session.
pub(in crate::http) async fn events(
    context: &RequestContext<'_>,
    sessions: &Sessions,
    clocks: &dyn PartitionClocks,
    id: Option<SessionId>,
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

/// What a request asks for, by which it is known when it comes again; only one that has a name is.
fn requested(name: &Option<CommandName>, object: &Object<'_>) -> Option<Vec<u8>> {
    name.as_ref().map(|_| wire::canonical(object))
}

/// The session that a path names, the arrival of the request, and what the body asks for; or everything
/// that is wrong, the path first.
fn named<T>(
    sessions: &Sessions,
    id: Option<SessionId>,
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
    id: Option<SessionId>,
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

fn session_id(id: Option<SessionId>) -> Result<SessionId, Problem> {
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
