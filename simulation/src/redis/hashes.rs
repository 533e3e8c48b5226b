//! Commands on hashes.

use std::collections::BTreeMap;

use super::args::{Args, Result, integer, number};
use super::keyspace::Keyspace;
use super::reply::Reply;

type Hash = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn hset(keys: &mut Keyspace, args: Args<'_>) -> Result {
    if args.len().is_multiple_of(2) {
        return Err(Reply::err("wrong number of arguments for 'hset' command"));
    }
    keys.change::<Hash, _>(&args[0], |hash| {
        let pairs = args[1..].chunks(2);
        let new = pairs.filter(|pair| hash.insert(pair[0].clone(), pair[1].clone()).is_none()).count();
        (Reply::count(new), true)
    })
}

pub(super) fn hget(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let hash = keys.read::<Hash>(&args[0])?;
    Ok(Reply::bulk_or_nil(hash.and_then(|hash| hash.get(&args[1])).cloned()))
}

pub(super) fn hmget(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let hash = keys.read::<Hash>(&args[0])?;
    let value = |field| Reply::bulk_or_nil(hash.and_then(|hash| hash.get(field)).cloned());
    Ok(Reply::Array(args[1..].iter().map(value).collect()))
}

pub(super) fn hdel(keys: &mut Keyspace, args: Args<'_>) -> Result {
    if keys.read::<Hash>(&args[0])?.is_none() {
        return Ok(Reply::Int(0));
    }
    keys.change::<Hash, _>(&args[0], |hash| {
        let gone = args[1..].iter().filter(|field| hash.remove(*field).is_some()).count();
        (Reply::count(gone), gone > 0)
    })
}

pub(super) fn hincrby(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let by = integer(&args[2])?;
    let old = match keys.read::<Hash>(&args[0])?.and_then(|hash| hash.get(&args[1])) {
        Some(text) => number(text).ok_or_else(|| Reply::err("hash value is not an integer"))?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or_else(|| Reply::err("increment or decrement would overflow"))?;
    keys.change::<Hash, _>(&args[0], |hash| {
        hash.insert(args[1].clone(), new.to_string().into_bytes());
        (Reply::Int(new), true)
    })
}
