//! Redis replies as what they mean. Does not know what was asked.

use bytes::Bytes;

use crate::engine::StateTag;
use crate::redis::{RedisError, resp::Value};
use crate::store::PendingAudit;

/// What came of a transaction.
#[derive(Debug)]
pub(in crate::store::redis) enum Executed {
    /// Everything was done.
    Yes,
    /// A watched key had changed: nothing was done.
    Conflict,
    /// Commands failed, and Redis does not roll back: their places in the transaction, and why.
    Broken(Vec<(usize, String)>),
}

/// What came of `MULTI ... EXEC`; `Err` when Redis refused to take the transaction, so that nothing was done.
pub(in crate::store::redis) fn executed(mut replies: Vec<Value>) -> Result<Executed, RedisError> {
    match replies.pop() {
        Some(Value::List(done)) => {
            let failed = done.iter().enumerate().filter_map(|(place, reply)| Some((place, reply.error()?.to_owned())));
            let failed: Vec<_> = failed.collect();
            Ok(if failed.is_empty() { Executed::Yes } else { Executed::Broken(failed) })
        }
        Some(Value::Nil) => Ok(Executed::Conflict),
        other => match replies.iter().chain(&other).find_map(Value::error) {
            Some(why) => Err(RedisError::Server(why.to_owned())),
            // The outcome is in doubt.
            None => Err(RedisError::Io(format!("EXEC answered {other:?}"))),
        },
    }
}

/// The reply that must come next.
pub(in crate::store::redis) fn next(replies: &mut impl Iterator<Item = Value>) -> Result<Value, RedisError> {
    replies.next().ok_or_else(|| RedisError::Io("a reply is missing".to_owned()))
}

/// The microseconds of TIME.
pub(in crate::store::redis) fn time_us(reply: &Value) -> Result<u64, RedisError> {
    match reply.list() {
        [seconds, micros] => seconds.number::<u64>().zip(micros.number::<u64>()),
        _ => None,
    }
    .and_then(|(seconds, micros)| seconds.checked_mul(1_000_000)?.checked_add(micros))
    .ok_or_else(|| unexpected("TIME", reply))
}

/// It was done.
pub(in crate::store::redis) fn ok(command: &str, reply: &Value) -> Result<(), RedisError> {
    if reply.is_ok() { Ok(()) } else { Err(unexpected(command, reply)) }
}

/// The values of MGET, so many.
pub(in crate::store::redis) fn values(reply: Value, count: usize) -> Result<Vec<Option<Bytes>>, RedisError> {
    let Value::List(values) = reply else { return Err(unexpected("MGET", &reply)) };
    if values.len() != count {
        return Err(RedisError::Io(format!("{} values of {count} keys", values.len())));
    }
    let value = |value| match value {
        Value::Text(bytes) => Ok(Some(bytes)),
        Value::Nil => Ok(None),
        // What MGET says of a key of another type is that there is nothing; GET says why.
        Value::Error(why) if why.starts_with("WRONGTYPE") => Ok(None),
        other @ (Value::Int(_) | Value::Status(_) | Value::List(_) | Value::Error(_)) => {
            Err(unexpected("MGET", &other))
        }
    };
    values.into_iter().map(value).collect()
}

/// A number as it is written; zero when it is none.
pub(in crate::store::redis) fn decimal(digits: &Bytes) -> u64 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// What of a session is queued: the newest tag, and how many stand apart. What is being written, or tried alone, by
/// whomever it is, may be of the session too, and older.
pub(in crate::store::redis) fn queued(reply: &Value, out_of_order: &[Value]) -> PendingAudit {
    let [newest, apart] = reply.list() else { return PendingAudit::default() };
    let tag = |text: &str| {
        let (epoch, version) = text.split_once('.')?;
        Some(StateTag { epoch: epoch.parse().ok()?, version: version.parse().ok()? })
    };
    let others = out_of_order.iter().any(|count| count.number::<u64>() != Some(0));
    PendingAudit { newest: newest.text().and_then(tag), has_stragglers: apart.number::<u64>().is_some() || others }
}

fn unexpected(command: &str, reply: &Value) -> RedisError {
    let why = reply.error().map(str::to_owned);
    RedisError::Server(why.unwrap_or_else(|| format!("{command} answered {reply:?}")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{decimal, queued, time_us};
    use crate::engine::StateTag;
    use crate::redis::resp::Value;
    use crate::store::PendingAudit;

    fn text(text: &str) -> Value {
        Value::Text(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_time_is_two_numbers_that_make_one() {
        let time = |seconds: &str, micros: &str| time_us(&Value::List(vec![text(seconds), text(micros)])).ok();
        assert_eq!(time("1769860800", "123456"), Some(1_769_860_800_123_456));
        assert_eq!(time("18446744073709", "551615"), Some(u64::MAX));
        for (seconds, micros) in [("18446744073709", "551616"), ("18446744073710", "0"), ("-1", "0"), ("x", "0")] {
            assert_eq!(time(seconds, micros), None, "{seconds} {micros}");
        }
        for other in [Value::Nil, Value::Int(1), text("1"), Value::List(vec![text("1")])] {
            assert!(time_us(&other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn what_is_queued_is_a_tag_and_what_stands_apart() {
        let tag = StateTag { epoch: 7, version: 3 };
        let pair = |newest: &str, apart: Value| Value::List(vec![text(newest), apart]);
        let said = |newest, has_stragglers| PendingAudit { newest, has_stragglers };
        let none = [Value::Int(0)];
        assert_eq!(queued(&pair("7.3", Value::Nil), &none), said(Some(tag), false));
        assert_eq!(queued(&pair("7.3", text("2")), &none), said(Some(tag), true));
        assert_eq!(queued(&pair("7.3", Value::Nil), &[Value::Int(0), Value::Int(1)]), said(Some(tag), true));
        assert_eq!(queued(&pair("7.3", Value::Nil), &[Value::Nil]), said(Some(tag), true), "who knows");
        assert_eq!(queued(&pair("7", Value::Nil), &none), said(None, false));
        assert_eq!(queued(&Value::Nil, &none), PendingAudit::default());
    }

    #[test]
    fn a_number_that_is_none_is_zero() {
        for (digits, number) in [("12", 12), ("", 0), ("x", 0), ("18446744073709551616", 0)] {
            assert_eq!(decimal(&Bytes::from_static(digits.as_bytes())), number, "{digits}");
        }
    }
}
