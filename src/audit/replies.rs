//! Redis replies as what they mean. Does not know what was asked.

#![expect(clippy::wildcard_enum_match_arm, reason = "a server may answer anything")]

use redis::Value;

pub(super) fn number(reply: &Value) -> u64 {
    redis::from_redis_value_ref::<Option<i64>>(reply).ok().flatten().map_or(0, |number| number.max(0) as u64)
}

pub(super) fn bytes(reply: Value) -> Vec<u8> {
    match reply {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.into_bytes(),
        _ => Vec::new(),
    }
}

pub(super) fn list(reply: Value) -> Vec<Vec<u8>> {
    match reply {
        Value::Array(entries) => entries.into_iter().map(bytes).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn time_ms(reply: &Value) -> u64 {
    let (seconds, micros): (u64, u64) = redis::from_redis_value_ref(reply).unwrap_or_default();
    seconds * 1_000 + micros / 1_000
}
