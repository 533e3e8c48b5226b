//! Commands on keys of any type.

use super::args::{Args, Result, integer, is};
use super::keyspace::{Keyspace, Value};
use super::reply::Reply;

pub(super) fn del(keys: &mut Keyspace, args: Args<'_>) -> Result {
    Ok(Reply::count(args.iter().filter(|key| keys.remove(key)).count()))
}

pub(super) fn kind(keys: &mut Keyspace, args: Args<'_>) -> Result {
    Ok(Reply::Status(keys.value(&args[0]).map_or("none", Value::kind)))
}

pub(super) fn rename(keys: &mut Keyspace, args: Args<'_>) -> Result {
    if keys.rename(&args[0], &args[1]) { Ok(Reply::OK) } else { Err(Reply::err("no such key")) }
}

pub(super) fn expire(keys: &mut Keyspace, args: Args<'_>) -> Result {
    expire_in(keys, args, "expire", 1_000)
}

pub(super) fn pexpire(keys: &mut Keyspace, args: Args<'_>) -> Result {
    expire_in(keys, args, "pexpire", 1)
}

/// `(P)EXPIRE key time [LT]`: with LT only if the key would live longer.
fn expire_in(keys: &mut Keyspace, args: Args<'_>, name: &str, unit_ms: i64) -> Result {
    let invalid = || Reply::err(format!("invalid expire time in '{name}' command"));
    let only_if_sooner = match args.get(2) {
        None => false,
        Some(option) if is(option, "LT") => true,
        Some(option) => return Err(Reply::err(format!("Unsupported option {}", String::from_utf8_lossy(option)))),
    };
    let now_ms = i64::try_from(keys.now_ms()).unwrap_or(i64::MAX);
    let at_ms = integer(&args[1])?.checked_mul(unit_ms).and_then(|time_ms| now_ms.checked_add(time_ms));
    let at_ms = u64::try_from(at_ms.ok_or_else(invalid)?).unwrap_or_default();
    let Some(expiry) = keys.expiry_ms(&args[0]) else { return Ok(Reply::Int(0)) };
    if only_if_sooner && expiry.is_some_and(|old_ms| at_ms >= old_ms) {
        return Ok(Reply::Int(0));
    }
    keys.expire_at(&args[0], at_ms);
    Ok(Reply::Int(1))
}

pub(super) fn pttl(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let left_ms = |at_ms: u64| i64::try_from(at_ms.saturating_sub(keys.now_ms())).unwrap_or(i64::MAX);
    Ok(Reply::Int(match keys.expiry_ms(&args[0]) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => left_ms(at_ms),
    }))
}
