//! Redis replies as values. Does not know the commands.

use bytes::Bytes;

use crate::redis::resp::Value;

pub(super) fn number(reply: &Value) -> u64 {
    reply.number::<i64>().map_or(0, |number| number.max(0) as u64)
}

pub(super) fn list(reply: Value) -> Vec<Bytes> {
    reply.into_list().into_iter().map(Value::into_bytes).collect()
}

pub(super) fn time_ms(reply: &Value) -> u64 {
    let part = |position: usize| reply.list().get(position).and_then(Value::number::<u64>).unwrap_or_default();
    part(0) * 1_000 + part(1) / 1_000
}
