//! Redis replies as what they mean. Does not know what was asked.

#![expect(clippy::wildcard_enum_match_arm, reason = "a server may answer anything")]

use bytes::Bytes;
use redis::Value;

use crate::engine::StateTag;
use crate::redis::{LinkError, refusal};
use crate::store::Queued;

/// What came of a transaction.
#[derive(Debug)]
pub(super) enum Executed {
    /// Everything was done.
    Yes,
    /// A watched key had changed: nothing was done.
    Overtaken,
    /// A command failed, and Redis does not roll back.
    Broken(String),
}

/// What came of `MULTI ... EXEC`; `Err` when Redis refused to take the transaction, so that nothing was done.
pub(super) fn executed(mut replies: Vec<Value>) -> Result<Executed, LinkError> {
    let last = replies.pop();
    match last {
        Some(Value::Array(done)) => Ok(match done.iter().find_map(refusal) {
            Some(why) => Executed::Broken(why),
            None => Executed::Yes,
        }),
        Some(Value::Nil) => Ok(Executed::Overtaken),
        other => {
            let why = replies.iter().chain(&other).find_map(refusal);
            Err(LinkError::Refused(why.unwrap_or_else(|| format!("EXEC answered {other:?}"))))
        }
    }
}

/// The reply that must come next.
pub(super) fn next(replies: &mut impl Iterator<Item = Value>) -> Result<Value, LinkError> {
    replies.next().ok_or_else(|| LinkError::Lost("a reply is missing".to_owned()))
}

/// The microseconds of TIME.
pub(super) fn time_us(reply: &Value) -> Result<u64, LinkError> {
    let Value::Array(parts) = reply else { return Err(unexpected("TIME", reply)) };
    let number = |part: Option<&Value>| match part {
        Some(Value::BulkString(digits)) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    match (number(parts.first()), number(parts.get(1))) {
        (Some(seconds), Some(micros)) => Ok(seconds * 1_000_000 + micros),
        _ => Err(unexpected("TIME", reply)),
    }
}

/// The values of MGET.
pub(super) fn values(reply: Value) -> Result<Vec<Option<Bytes>>, LinkError> {
    let Value::Array(values) = reply else { return Err(unexpected("MGET", &reply)) };
    let value = |value| match value {
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        Value::Nil => Ok(None),
        other => Err(unexpected("MGET", &other)),
    };
    values.into_iter().map(value).collect()
}

/// A number as it is written; zero when it is none.
pub(super) fn decimal(digits: &Bytes) -> u64 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// What of a session is queued: the newest tag, and how many stand apart.
pub(super) fn queued(reply: &Value) -> Queued {
    let (newest, apart): (Option<String>, Option<u64>) = redis::from_redis_value_ref(reply).unwrap_or_default();
    let tag = |text: String| {
        let (epoch, version) = text.split_once('.')?;
        Some(StateTag { epoch: epoch.parse().ok()?, version: version.parse().ok()? })
    };
    Queued { newest: newest.and_then(tag), has_stragglers: apart.is_some() }
}

/// An integer.
pub(super) fn integer(reply: &Value) -> Result<i64, LinkError> {
    match reply {
        Value::Int(integer) => Ok(*integer),
        other => Err(unexpected("a command that counts", other)),
    }
}

fn unexpected(command: &str, reply: &Value) -> LinkError {
    LinkError::Refused(refusal(reply).unwrap_or_else(|| format!("{command} answered {reply:?}")))
}
