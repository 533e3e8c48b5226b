//! What the server's Lua scripts do, in Rust. Does not know jobs beyond what the scripts know of them.

use crate::redis::{FakeRedis, Reply, Script, ScriptContext, ScriptError};

type Words<'a> = &'a [Vec<u8>];
type Result<T = Reply> = std::result::Result<T, ScriptError>;

/// The scripts, and what each does.
pub const SCRIPTS: [(&str, Script); 9] = [
    (include_str!("../../src/audit/scripts/fetch.lua"), fetch),
    (include_str!("../../src/audit/scripts/ack.lua"), ack),
    (include_str!("../../src/audit/scripts/renew.lua"), renew),
    (include_str!("../../src/audit/scripts/release.lua"), release),
    (include_str!("../../src/audit/scripts/reap.lua"), reap),
    (include_str!("../../src/audit/scripts/redrive.lua"), redrive),
    (include_str!("../../src/audit/scripts/drop.lua"), drop),
    (include_str!("../../src/store/redis/scripts/delete.lua"), delete),
    (include_str!("../../src/store/redis/scripts/agree.lua"), agree),
];

/// Teaches a server all of them.
pub fn teach(redis: &mut FakeRedis) {
    for (source, script) in SCRIPTS {
        redis.teach(source, script);
    }
}

/// How many waiting jobs are moved at once.
const PIECE: usize = 64;

fn fetch(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let [wait, delayed, batch, leases, bytes_key] = keys else { return Err(arguments()) };
    let [most, lease_ms, name, delayed_first, waiting_min, bytes_max] = args else { return Err(arguments()) };
    let now = now_ms(redis)?;
    let due = list(redis.call(&[
        b"ZRANGE",
        delayed,
        b"-inf",
        now.to_string().as_bytes(),
        b"BYSCORE",
        b"LIMIT",
        b"0",
        b"1",
    ])?);
    let most = count(most);
    let mut waiting = int(redis.call(&[b"LLEN", wait])?);
    if due.is_empty() && waiting < count(waiting_min) {
        waiting = 0;
    }
    match due.first() {
        Some(due) if waiting == 0 || delayed_first == b"1" => {
            redis.call(&[b"ZREM", delayed, due])?;
            redis.call(&[b"RPUSH", batch, due])?;
        }
        _ if waiting == 0 => return Ok(Reply::Int(0)),
        _ => {
            let bytes = match redis.call(&[b"GET", bytes_key])? {
                Reply::Bulk(bytes) => count(&bytes),
                _ => 0,
            };
            if waiting <= most && bytes <= count(bytes_max) {
                redis.call(&[b"RENAME", wait, batch])?;
            } else {
                let (mut moved, mut bytes) = (0, 0);
                while moved < most.min(waiting) && bytes < count(bytes_max) {
                    let last = (moved + PIECE as i64).min(most) - 1;
                    let range = [moved, last].map(|index| index.to_string());
                    let jobs = list(redis.call(&[b"LRANGE", wait, range[0].as_bytes(), range[1].as_bytes()])?);
                    bytes += jobs.iter().map(|job| job.len() as i64).sum::<i64>();
                    moved += jobs.len() as i64;
                    redis.call(&with(&[b"RPUSH", batch], &jobs))?;
                }
                redis.call(&[b"LTRIM", wait, moved.to_string().as_bytes(), b"-1"])?;
            }
        }
    }
    redis.call(&[b"ZADD", leases, (now + count(lease_ms)).to_string().as_bytes(), name])?;
    Ok(Reply::Int(1))
}

fn ack(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let [batch, leases, pending, bytes_key, done_key, delayed_key, dead_key] = keys else { return Err(arguments()) };
    let [name, bytes, done_max, lists @ ..] = args else { return Err(arguments()) };
    if int(redis.call(&[b"ZREM", leases, name])?) == 0 {
        return Ok(Reply::Int(0));
    }
    redis.call(&[b"DEL", batch])?;
    let mut lists = lists;
    let mut take = || {
        let (len, rest) = lists.split_first().ok_or_else(arguments)?;
        let len = usize::try_from(count(len)).unwrap_or_default();
        let (elements, rest) = rest.split_at_checked(len).ok_or_else(arguments)?;
        lists = rest;
        Ok::<_, ScriptError>(elements)
    };
    let (sessions, tags) = (take()?, take()?);
    if !sessions.is_empty() {
        let newest = array(redis.call(&with(&[b"HMGET", pending], sessions))?);
        let is_newest = |(reply, tag): &(Reply, &Vec<u8>)| *reply == Reply::Bulk((*tag).clone());
        let written = newest.into_iter().zip(tags).zip(sessions).filter(|(pair, _)| is_newest(pair));
        let written: Vec<_> = written.map(|(_, session)| session.clone()).collect();
        if !written.is_empty() {
            redis.call(&with(&[b"HDEL", pending], &written))?;
        }
    }
    if count(bytes) > 0 && int(redis.call(&[b"DECRBY", bytes_key, bytes])?) == 0 {
        redis.call(&[b"DEL", bytes_key])?;
    }
    let (out_of_order, changes) = (take()?, take()?);
    for (session, change) in out_of_order.iter().zip(changes) {
        count_out_of_order(redis, pending, session, change)?;
    }
    let now = now_ms(redis)?;
    let (delayed, pauses) = (take()?, take()?);
    for (job, pause) in delayed.iter().zip(pauses) {
        redis.call(&[b"ZADD", delayed_key, (now + count(pause)).to_string().as_bytes(), job])?;
    }
    let (dead, done) = (take()?, take()?);
    if !dead.is_empty() {
        redis.call(&with(&[b"RPUSH", dead_key], dead))?;
    }
    if !done.is_empty() {
        redis.call(&with(&[b"LPUSH", done_key], done))?;
        redis.call(&[b"LTRIM", done_key, b"0", (count(done_max) - 1).to_string().as_bytes()])?;
        redis.call(&[b"EXPIRE", done_key, b"3600"])?;
    }
    Ok(Reply::Int(now))
}

fn renew(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let ([leases], [lease_ms, names @ ..]) = (keys, args) else { return Err(arguments()) };
    let (now, mut leased) = (now_ms(redis)?, 0);
    for name in names {
        if redis.call(&[b"ZSCORE", leases, name])? != Reply::Nil {
            redis.call(&[b"ZADD", leases, (now + count(lease_ms)).to_string().as_bytes(), name])?;
            leased += 1;
        }
    }
    Ok(Reply::Int(leased))
}

fn release(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let ([batch, leases, wait, delayed], [name]) = (keys, args) else { return Err(arguments()) };
    if int(redis.call(&[b"ZREM", leases, name])?) == 0 {
        return Ok(Reply::Int(0));
    }
    let jobs = list(redis.call(&[b"LRANGE", batch, b"0", b"-1"])?);
    for job in jobs.iter().rev() {
        if job.first() == Some(&b'{') {
            redis.call(&[b"LPUSH", wait, job])?;
        } else {
            redis.call(&[b"ZADD", delayed, b"0", job])?;
        }
    }
    redis.call(&[b"DEL", batch])?;
    Ok(Reply::count(jobs.len()))
}

fn reap(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let [batch, leases, delayed, dead_key, pending] = keys else { return Err(arguments()) };
    let [name, reaps_max, session] = args else { return Err(arguments()) };
    let expiry = redis.call(&[b"ZSCORE", leases, name])?;
    let now = now_ms(redis)?;
    match expiry {
        Reply::Bulk(expiry) if count(&expiry) <= now => {}
        _ => return Ok(Reply::Array(vec![Reply::Int(0), Reply::Int(0)])),
    }
    redis.call(&[b"ZREM", leases, name])?;
    let jobs = list(redis.call(&[b"LRANGE", batch, b"0", b"-1"])?);
    redis.call(&[b"DEL", batch])?;
    let mut dead = 0;
    for entry in &jobs {
        let (attempts, mut reaps, job) = counters(entry).unwrap_or((b"0", 0, entry));
        reaps += i64::from(jobs.len() == 1);
        if reaps >= count(reaps_max) {
            dead += 1;
            if count(attempts) == 0 {
                count_out_of_order_only(redis, pending, session)?;
            }
            let letter = [b"{\"error\":\"whoever writes it dies\",\"attempts\":", attempts, b",\"job\":", job, b"}"];
            redis.call(&[b"RPUSH", dead_key, &letter.concat()])?;
        } else {
            let entry = [attempts, b" ", reaps.to_string().as_bytes(), b" ", job].concat();
            redis.call(&[b"ZADD", delayed, b"0", &entry])?;
        }
    }
    Ok(Reply::Array(vec![Reply::Int(jobs.len() as i64 - dead), Reply::Int(dead)]))
}

fn redrive(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let ([dead, delayed], [letter, entry]) = (keys, args) else { return Err(arguments()) };
    if int(redis.call(&[b"LREM", dead, b"1", letter])?) == 0 {
        return Ok(Reply::Int(0));
    }
    redis.call(&[b"ZADD", delayed, b"0", entry])?;
    Ok(Reply::Int(1))
}

fn drop(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let ([dead, bytes_key, pending], [letter, bytes, session, tag]) = (keys, args) else { return Err(arguments()) };
    if int(redis.call(&[b"LREM", dead, b"1", letter])?) == 0 {
        return Ok(Reply::Int(0));
    }
    if int(redis.call(&[b"DECRBY", bytes_key, bytes])?) == 0 {
        redis.call(&[b"DEL", bytes_key])?;
    }
    count_out_of_order(redis, pending, session, b"-1")?;
    if redis.call(&[b"HGET", pending, session])? == Reply::Bulk(tag.clone()) {
        redis.call(&[b"HDEL", pending, session])?;
    }
    Ok(Reply::Int(1))
}

fn delete(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let (
        [session, deadlines, queue @ ..],
        [loaded, seconds, tombstone, id, publish, first, frame, second, message, audit @ ..],
    ) = (keys, args)
    else {
        return Err(arguments());
    };
    if redis.call(&[b"GET", session])? != Reply::Bulk(loaded.clone()) {
        return Ok(Reply::Int(0));
    }
    redis.call(&[b"SETEX", session, seconds, tombstone])?;
    redis.call(&[b"ZREM", deadlines, id])?;
    if let ([wait, pending, bytes], [job, tag]) = (queue, audit) {
        redis.call(&[b"RPUSH", wait, job])?;
        redis.call(&[b"HSET", pending, id, tag])?;
        redis.call(&[b"INCRBY", bytes, job.len().to_string().as_bytes()])?;
    }
    redis.call(&[publish, first, frame])?;
    redis.call(&[publish, second, message])?;
    Ok(Reply::Int(1))
}

fn agree(redis: &mut ScriptContext<'_>, keys: Words<'_>, args: Words<'_>) -> Result {
    let ([clock], [found, next]) = (keys, args) else { return Err(arguments()) };
    let present = match redis.pcall(&[b"GET", clock]) {
        Reply::Bulk(present) => present,
        _ => Vec::new(),
    };
    if present != *found {
        return Ok(Reply::Bulk(present));
    }
    redis.call(&[b"SET", clock, next])?;
    Ok(Reply::Bulk(next.clone()))
}

/// Changes how many jobs of a session are out of order, and forgets it at none.
fn count_out_of_order(redis: &mut ScriptContext<'_>, pending: &[u8], session: &[u8], by: &[u8]) -> Result<()> {
    let field = [session, b":apart"].concat();
    if int(redis.call(&[b"HINCRBY", pending, &field, by])?) <= 0 {
        redis.call(&[b"HDEL", pending, &field])?;
    }
    Ok(())
}

fn count_out_of_order_only(redis: &mut ScriptContext<'_>, pending: &[u8], session: &[u8]) -> Result<()> {
    redis.call(&[b"HINCRBY", pending, &[session, b":apart"].concat(), b"1"]).map(|_| ())
}

/// An entry's attempts, how often it was reaped, and its job; `None` when it has no counters.
fn counters(entry: &[u8]) -> Option<(&[u8], i64, &[u8])> {
    let mut parts = entry.splitn(3, |&byte| byte == b' ');
    let (attempts, reaps, job) = (parts.next()?, parts.next()?, parts.next()?);
    let are_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    (are_digits(attempts) && are_digits(reaps)).then(|| (attempts, count(reaps), job))
}

fn now_ms(redis: &mut ScriptContext<'_>) -> Result<i64> {
    let time = list(redis.call(&[b"TIME"])?);
    let [seconds, us] = &time[..] else { return Err(arguments()) };
    Ok(count(seconds) * 1_000 + count(us) / 1_000)
}

fn with<'a>(words: &[&'a [u8]], more: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    words.iter().copied().chain(more.iter().map(Vec::as_slice)).collect()
}

/// A number that the queue wrote itself.
fn count(text: &[u8]) -> i64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn int(reply: Reply) -> i64 {
    if let Reply::Int(number) = reply { number } else { 0 }
}

fn array(reply: Reply) -> Vec<Reply> {
    if let Reply::Array(replies) = reply { replies } else { Vec::new() }
}

fn list(reply: Reply) -> Vec<Vec<u8>> {
    let bytes = |reply| if let Reply::Bulk(bytes) = reply { Some(bytes) } else { None };
    array(reply).into_iter().filter_map(bytes).collect()
}

/// The call has not the keys and arguments that it must have.
fn arguments() -> ScriptError {
    ScriptError(Reply::err("the script is called with other keys or arguments"))
}
