//! How instances agree on the correction of Redis' own clock: it is stored in a key, and the instance that first sees
//! that something else is right writes that, unless another was faster. All see the same step against their own
//! monotonic clocks, so that they want the same; until it is written each goes by its own. Does not know when to look,
//! nor what is right.
//!
//! ```text
//! look     GET clock   TIME          with every new run of the server, now and then, and in doubt
//! propose  EVALSHA ... clock   TIME  what was found -> what is to be there
//! ```

use bytes::Bytes;
use tracing::{debug, info};

use crate::clock::Moment;
use crate::redis::{Keyspace, Pipeline, RedisConnection, RedisError, resp::Value};
use crate::store::redis::replies;

use super::correction::Correction;
use super::server_clock::{RawReading, ServerClock};

/// How often it is tried to write a correction, or to find another's right.
const TRIES_MAX: usize = 3;

/// What it does: its keys, its arguments and its reply are described there.
const SCRIPT: &str = include_str!("../scripts/agree.lua");

/// A correction that is to be written in the place of what was found.
#[derive(Debug)]
pub(in crate::store::redis) struct Proposal {
    found: Bytes,
    correction: Correction,
}

/// Adds what is asked to look at the correction, in this order: an instance that reads the clock last sees the step
/// that the correction is about.
pub(in crate::store::redis) fn look(keyspace: &Keyspace, commands: &mut Pipeline) {
    commands.cmd("GET").arg(keyspace.clock()).cmd("TIME");
}

/// Takes in the replies; returns what is to be proposed.
pub(in crate::store::redis) fn looked(
    server_clock: &ServerClock,
    replies: &mut impl Iterator<Item = Value>,
    sent: Moment,
    received: Moment,
) -> Result<Option<Proposal>, RedisError> {
    // What is of another type is replaced as what is no correction.
    let found = match replies::next(replies)? {
        Value::Error(why) if !why.starts_with("WRONGTYPE") => return Err(RedisError::Server(why)),
        found @ (Value::Nil | Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::List(_) | Value::Error(_)) => {
            found.into_bytes()
        }
    };
    let raw = RawReading { us: replies::time_us(&replies::next(replies)?)?, sent, received };
    let correction = server_clock.judge(Correction::read(&found), raw);
    Ok(correction.map(|correction| Proposal { found: Bytes::copy_from_slice(&found), correction }))
}

/// Looks at it, and proposes what is to be proposed, on a connection to a server that was not asked before.
pub(in crate::store::redis) async fn begin(
    server_clock: &ServerClock,
    keyspace: &Keyspace,
    connection: &mut RedisConnection,
) -> Result<(), RedisError> {
    let mut commands = Pipeline::new();
    look(keyspace, &mut commands);
    let sent = server_clock.moment();
    let replies = connection.ask(&commands).await?;
    match looked(server_clock, &mut replies.into_iter(), sent, server_clock.moment())? {
        Some(proposal) => propose(server_clock, keyspace, connection, proposal).await,
        None => Ok(()),
    }
}

/// Proposes, and takes over what is there then. A server that takes no changes is asked again later.
pub(in crate::store::redis) async fn propose(
    server_clock: &ServerClock,
    keyspace: &Keyspace,
    connection: &mut RedisConnection,
    proposal: Proposal,
) -> Result<(), RedisError> {
    let mut load = Pipeline::new();
    load.cmd("SCRIPT").arg("LOAD").arg(SCRIPT);
    let loaded = connection.ask(&load).await?;
    let Some(script) = loaded.first().filter(|reply| reply.error().is_none()).and_then(Value::text) else {
        debug!(?loaded, "a correction of the clock of Redis cannot be written");
        return Ok(());
    };
    let mut next = Some(proposal);
    for _ in 0..TRIES_MAX {
        let Some(Proposal { found, correction }) = next else { return Ok(()) };
        let mut commands = Pipeline::new();
        let call = commands.cmd("EVALSHA").arg(script).arg(1).arg(keyspace.clock());
        call.arg(&found[..]).arg(correction.text()).cmd("TIME");
        let sent = server_clock.moment();
        let replies = connection.ask(&commands).await?;
        let received = server_clock.moment();
        if let Some(why) = replies.first().and_then(Value::error) {
            debug!(why, "a correction of the clock of Redis cannot be written");
            return Ok(());
        }
        if replies.first().and_then(Value::text) == Some(correction.text().as_str()) {
            info!(correction = correction.text(), "all instances correct the clock of Redis from now on");
        }
        next = looked(server_clock, &mut replies.into_iter(), sent, received)?;
    }
    Ok(())
}
