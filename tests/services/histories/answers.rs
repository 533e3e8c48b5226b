//! What a client of REST is told, as the checker takes it. Does not know who asks, nor when.

use histories::{Answer, Ask, DeadlineWindow, Instant, OnTimeout, RefusalKind, Status, Tag, View};
use serde_json::{Value, json};

use test_support::instant;
use test_support::sessions::participant;

pub(super) const PARTICIPANTS: u8 = 3;
const MS: i128 = 1_000_000;

/// A response, as it was read.
pub(super) struct Response {
    pub(super) status: u16,
    /// Epoch and version that its ETag names.
    pub(super) tag: Option<Tag>,
    /// Whether time has done more than could be written down.
    pub(super) is_unsaved: bool,
    pub(super) body: Value,
}

/// A request: method, what follows the session's path, the body, and the ETag that it is about.
pub(super) fn request(ask: &Ask, session: &str, time_ms: u64) -> (&'static str, String, Value, Option<Tag>) {
    let path = |action: &str| format!("/v1/sessions/{session}{action}");
    match ask {
        Ask::Create { on_timeout, .. } => {
            ("POST", "/v1/sessions".to_owned(), create(session, *on_timeout, time_ms), None)
        }
        Ask::Read => ("GET", path(""), Value::Null, None),
        Ask::Start => ("POST", path("/start"), Value::Null, None),
        Ask::Pause => ("POST", path("/pause"), Value::Null, None),
        Ask::Resume => ("POST", path("/resume"), Value::Null, None),
        Ask::Complete => ("POST", path("/complete"), Value::Null, None),
        Ask::Cancel => ("POST", path("/cancel"), Value::Null, None),
        Ask::Delete { expected } => ("DELETE", path(""), Value::Null, *expected),
        Ask::Patch { mark, expected } => {
            let mut body = json!({"metadata": {"mark": mark}});
            expected.iter().for_each(|version| body["expected_version"] = (*version).into());
            ("PATCH", path(""), body, None)
        }
        Ask::Switch(moves) => {
            let mut body = json!({});
            moves.current.iter().for_each(|n| body["current_participant_id"] = participant(u64::from(*n)).into());
            moves.next.iter().for_each(|n| body["next_participant_id"] = participant(u64::from(*n)).into());
            moves.expected.iter().for_each(|version| body["expected_version"] = (*version).into());
            ("POST", path("/switch"), body, None)
        }
    }
}

fn create(session: &str, on_timeout: OnTimeout, time_ms: u64) -> Value {
    let participants = (0..u64::from(PARTICIPANTS))
        .map(|n| json!({"participant_id": participant(n), "participant_index": n, "total_time_ms": time_ms + 100 * n}));
    let on_timeout = match on_timeout {
        OnTimeout::Expire => "expire",
        OnTimeout::Advance => "advance",
    };
    json!({
        "session_id": session,
        "sync_mode": "per_participant",
        "total_time_ms": time_ms,
        "on_timeout": on_timeout,
        "participants": participants.collect::<Vec<_>>(),
    })
}

/// What a response says; `Err` is what no client should be told.
pub(super) fn answer(ask: &Ask, response: &Response, asked: Instant, read: Instant) -> Result<Answer, String> {
    let Response { status, tag, is_unsaved, body } = response;
    let (error, data) = (&body["error"], &body["data"]);
    let refused = |refusal| Ok(Answer::Refused(refusal));
    let message = error["message"].as_str().unwrap_or_default();
    match (status, error["code"].as_str().unwrap_or_default()) {
        (200, _) if *is_unsaved => Ok(Answer::NotDone),
        (200 | 201, _) => {
            let tag = tag.ok_or("no ETag")?;
            let deadline = deadline(data, body["server_time_ms"].as_u64(), asked, read);
            let view = view(data, tag, deadline);
            Ok(if data["late"] == true { Answer::Late(view) } else { Answer::Done(view) })
        }
        (204, _) if matches!(ask, Ask::Delete { .. }) => Ok(Answer::Gone),
        (404, "SESSION_NOT_FOUND") => refused(RefusalKind::NotFound),
        (409, "SESSION_EXISTS") => refused(RefusalKind::Exists),
        (409, "CONFLICT") => match error["details"]["actual_version"].as_u64() {
            Some(actual) => refused(RefusalKind::Conflict { actual }),
            None => Err("a conflict without a version".to_owned()),
        },
        (400, "INVALID_STATE_TRANSITION") => match message.split("current status: ").nth(1) {
            Some(name) => refused(RefusalKind::WrongStatus(status_of(name.trim_end_matches(')')))),
            None => Err(format!("no status: {message}")),
        },
        (400, "VALIDATION_ERROR") if message.ends_with("has expired") => refused(RefusalKind::OutOfTime),
        (503, "UNKNOWN_OUTCOME") => Ok(Answer::Unknown),
        (503, "UNAVAILABLE") => Ok(Answer::NotDone),
        _ => Err(format!("{status} {body}")),
    }
}

/// The state in an answer or a message.
pub(super) fn view(data: &Value, tag: Tag, deadline: Option<DeadlineWindow>) -> View {
    let place = |id: &Value| (0..PARTICIPANTS).find(|n| *id == participant(u64::from(*n)));
    let all = data["participants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let out = all.iter().filter(|it| it["has_expired"] == true).filter_map(|it| place(&it["participant_id"]));
    View {
        tag,
        status: status_of(data["status"].as_str().unwrap_or_default()),
        active: place(&data["active_participant_id"]),
        out: out.fold(0, |out, n| out | 1 << n),
        // What a switch is answered with has no metadata and no mode.
        mark: data.get("sync_mode").map(|_| data["metadata"]["mark"].as_u64()),
        deadline,
    }
}

fn status_of(name: &str) -> Status {
    match name {
        "pending" => Status::Pending,
        "running" => Status::Running,
        "paused" => Status::Paused,
        "expired" => Status::Expired,
        "completed" => Status::Completed,
        "cancelled" => Status::Cancelled,
        other => panic!("not a status: {other}"),
    }
}

/// When the running clock ends, by the clock of whoever asked: the server told its own time between these instants.
fn deadline(data: &Value, server_ms: Option<u64>, asked: Instant, read: Instant) -> Option<DeadlineWindow> {
    if data["status"] != "running" {
        return None;
    }
    let ends_ms = if data["deadline_at"].is_string() {
        instant::ms(&data["deadline_at"])
    } else {
        let all = data["participants"].as_array()?;
        let active = all.iter().find(|it| it["participant_id"] == data["active_participant_id"])?;
        instant::ms(&data["cycle_started_at"]) + active["time_remaining_ms"].as_u64()?
    };
    let left = (i128::from(ends_ms) - i128::from(server_ms?)) * MS;
    let at = |instant: i128| u64::try_from(instant.max(0)).unwrap_or(u64::MAX);
    Some(DeadlineWindow { earliest: at(i128::from(asked) + left - MS), latest: at(i128::from(read) + left) })
}
