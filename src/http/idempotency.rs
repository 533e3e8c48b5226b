//! The headers by which a request that is sent again is known, and its answer told from the first one's. Does not know what a
//! request asks for.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::caller::{Caller, CommandName};
use crate::problem::Problem;
use crate::sessions::{Applied, CommandReply};

use super::response::Response;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// What a caller names a request, if it does.
pub(super) fn name(caller: &Caller, headers: &HeaderMap) -> Result<Option<CommandName>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let named = match (value.to_str(), values.next()) {
        (Ok(text), None) => caller.command_name(text),
        (Ok(_), Some(_)) => Err("Must be given once"),
        (Err(_), _) => Err("Must be visible ASCII characters"),
    };
    named.map(Some).map_err(|why| Problem::invalid_key("Idempotency-Key", why))
}

/// The answer to a command: `done` makes it of what was applied, now or before.
pub(super) fn answer(reply: CommandReply, done: impl FnOnce(&Applied) -> Response) -> Response {
    let CommandReply { result, is_replayed, quota } = reply;
    let answer = Response::from(result.map(|applied| done(&applied)).map_err(Problem::from));
    let answer = if is_replayed { answer.with(IDEMPOTENCY_REPLAYED, TRUE) } else { answer };
    Response { rate_limit: quota, ..answer }
}
