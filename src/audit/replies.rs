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
    part(0).saturating_mul(1_000).saturating_add(part(1) / 1_000)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{number, time_ms};
    use crate::redis::resp::Value;

    #[test]
    fn a_time_is_in_milliseconds_and_no_time_is_zero() {
        let text = |text: &str| Value::Text(Bytes::copy_from_slice(text.as_bytes()));
        let time = |seconds: &str, micros: &str| time_ms(&Value::List(vec![text(seconds), text(micros)]));
        assert_eq!(time("1769860800", "123999"), 1_769_860_800_123);
        assert_eq!(time("18446744073709551615", "0"), u64::MAX);
        assert_eq!(time("x", "5000"), 5);
        assert_eq!(time_ms(&Value::Nil), 0);
        assert_eq!([Value::Int(7), Value::Int(-7), Value::Nil].map(|reply| number(&reply)), [7, 0, 0]);
    }
}
