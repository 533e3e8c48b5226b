//! Commands on lists.

use std::collections::VecDeque;

use super::args::{Args, Result, integer, range};
use super::keyspace::Keyspace;
use super::reply::Reply;

type List = VecDeque<Vec<u8>>;

pub(super) fn rpush(keys: &mut Keyspace, args: Args<'_>) -> Result {
    push(keys, args, List::push_back)
}

pub(super) fn lpush(keys: &mut Keyspace, args: Args<'_>) -> Result {
    push(keys, args, List::push_front)
}

fn push(keys: &mut Keyspace, args: Args<'_>, push: fn(&mut List, Vec<u8>)) -> Result {
    keys.change::<List, _>(&args[0], |list| {
        args[1..].iter().for_each(|element| push(list, element.clone()));
        (Reply::count(list.len()), true)
    })
}

pub(super) fn llen(keys: &mut Keyspace, args: Args<'_>) -> Result {
    Ok(Reply::count(keys.read::<List>(&args[0])?.map_or(0, VecDeque::len)))
}

pub(super) fn lindex(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let Some(list) = keys.read::<List>(&args[0])? else { return Ok(Reply::Nil) };
    let index = integer(&args[1])?;
    let index = if index < 0 { i64::try_from(list.len()).unwrap_or(i64::MAX) + index } else { index };
    Ok(Reply::bulk_or_nil(usize::try_from(index).ok().and_then(|index| list.get(index)).cloned()))
}

pub(super) fn lrange(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let (start, stop) = (integer(&args[1])?, integer(&args[2])?);
    let Some(list) = keys.read::<List>(&args[0])? else { return Ok(Reply::Array(Vec::new())) };
    let elements = range(list.len(), start, stop).map(|range| list.range(range).cloned().map(Reply::Bulk).collect());
    Ok(Reply::Array(elements.unwrap_or_default()))
}

pub(super) fn ltrim(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let (start, stop) = (integer(&args[1])?, integer(&args[2])?);
    if keys.read::<List>(&args[0])?.is_none() {
        return Ok(Reply::OK);
    }
    keys.change::<List, _>(&args[0], |list| {
        let kept = range(list.len(), start, stop).map(|range| list.range(range).cloned().collect());
        *list = kept.unwrap_or_default();
        (Reply::OK, true)
    })
}

/// Removes occurrences of an element: from the front, or for a negative count from the back; for 0 all.
pub(super) fn lrem(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let count = integer(&args[1])?;
    if keys.read::<List>(&args[0])?.is_none() {
        return Ok(Reply::Int(0));
    }
    let most = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(most) => most,
    };
    keys.change::<List, _>(&args[0], |list| {
        let found = list.iter().enumerate().filter(|(_, element)| **element == args[2]).map(|(index, _)| index);
        let removed: Vec<_> = if count < 0 { found.rev().take(most).collect() } else { found.take(most).collect() };
        let mut index = 0;
        list.retain(|_| {
            index += 1;
            !removed.contains(&(index - 1))
        });
        (Reply::count(removed.len()), !removed.is_empty())
    })
}
