//! Commands on strings and counters.

use super::args::{Args, Result, integer, is, number, syntax_error};
use super::keyspace::{Keyspace, Value};
use super::reply::Reply;

pub(super) fn get(keys: &mut Keyspace, args: Args<'_>) -> Result {
    Ok(Reply::bulk_or_nil(keys.read::<Vec<u8>>(&args[0])?.cloned()))
}

pub(super) fn mget(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let value = |key: &Vec<u8>| Reply::bulk_or_nil(keys.read::<Vec<u8>>(key).ok().flatten().cloned());
    Ok(Reply::Array(args.iter().map(value).collect()))
}

pub(super) fn set(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let (key, value) = (&args[0], &args[1]);
    let only_if_missing = match &args[2..] {
        [] => false,
        [option] if is(option, "NX") => true,
        _ => return Err(syntax_error()),
    };
    if only_if_missing && keys.value(key).is_some() {
        return Ok(Reply::Nil);
    }
    keys.set(key, Value::String(value.clone()), None);
    Ok(Reply::OK)
}

pub(super) fn setex(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let seconds = integer(&args[1])?;
    let life_ms = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).and_then(|s| s.checked_mul(1_000));
    let life_ms = life_ms.ok_or_else(|| Reply::err("invalid expire time in 'setex' command"))?;
    keys.set(&args[0], Value::String(args[2].clone()), Some(keys.now_ms() + life_ms));
    Ok(Reply::OK)
}

pub(super) fn incr(keys: &mut Keyspace, args: Args<'_>) -> Result {
    add(keys, &args[0], 1)
}

pub(super) fn incrby(keys: &mut Keyspace, args: Args<'_>) -> Result {
    add(keys, &args[0], integer(&args[1])?)
}

pub(super) fn decrby(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let by = integer(&args[1])?;
    add(keys, &args[0], by.checked_neg().ok_or_else(|| Reply::err("decrement would overflow"))?)
}

fn add(keys: &mut Keyspace, key: &[u8], by: i64) -> Result {
    let old = match keys.read::<Vec<u8>>(key)? {
        Some(text) => number(text).ok_or_else(|| Reply::err("value is not an integer or out of range"))?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or_else(|| Reply::err("increment or decrement would overflow"))?;
    keys.change::<Vec<u8>, _>(key, |value| {
        *value = new.to_string().into_bytes();
        (Reply::Int(new), true)
    })
}
