//! Redis replies as values. Does not know the commands.

use bytes::Bytes;

use crate::redis::Reply;

pub(super) fn number(reply: &Reply) -> u64 {
    reply.number::<i64>().map_or(0, |number| number.max(0) as u64)
}

pub(super) fn list(reply: Reply) -> Vec<Bytes> {
    reply.into_list().into_iter().map(Reply::into_bytes).collect()
}

pub(super) fn time_ms(reply: &Reply) -> u64 {
    let part = |place: usize| reply.list().get(place).and_then(Reply::number::<u64>).unwrap_or_default();
    part(0) * 1_000 + part(1) / 1_000
}
