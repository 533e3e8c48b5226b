//! A deletion on a server that is full: it refuses every plain command that may need memory, transactions included, and
//! would never have room again. A script that is allowed to go on does all that the transaction would have done, if the
//! session is still as it was loaded. Does not know why it is deleted.

use crate::redis::{Pipeline, QueueKey, RedisError, resp::Value};
use crate::store::metrics::Operation;
use crate::store::redis::connection::{LazyConnection, RoundTrip};
use crate::store::redis::time::Reading;

use super::batch_session::BatchSession;
use super::commit_context::CommitContext;
use super::replicas::Replicas;
use super::session_write::ScriptedDeletion;

/// What it does: its keys, its arguments and its reply are described there.
const SCRIPT: &str = include_str!("../scripts/delete.lua");

/// What a deletion by script came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeletionOutcome {
    /// It was made.
    Yes,
    /// It was not.
    No,
    /// It is in doubt.
    Unknown,
}

/// The name by which the server knows the script, which it forgets when it is restarted; `None` when it does not say.
pub(in crate::store::redis) async fn load(connection: &mut LazyConnection) -> Option<String> {
    let mut commands = Pipeline::new();
    commands.cmd("SCRIPT").arg("LOAD").arg(SCRIPT);
    let reply = connection.ask(Operation::Commit, &commands).await.ok()?.replies.pop()?;
    reply.text().map(str::to_owned)
}

/// The command that deletes a session whose only change in a batch is its deletion.
pub(super) fn delete_by_script(
    script: &str,
    context: &CommitContext,
    session: &BatchSession,
    deletion: &ScriptedDeletion<'_>,
    reading: &Reading,
) -> Pipeline {
    let keyspace = &context.keyspace;
    let mut keys = vec![session.key.clone(), keyspace.deadlines(session.partition)];
    if context.audit.is_on() {
        keys.extend(
            [QueueKey::Wait, QueueKey::Pending, QueueKey::Bytes].map(|part| keyspace.queue(session.partition, part)),
        );
    }
    let mut commands = Pipeline::new();
    let id = session.id.0.text();
    let call = commands.cmd("EVALSHA").arg(script).arg(keys.len()).args(&keys);
    call.arg(&deletion.loaded[..]).arg(deletion.seconds).arg(&deletion.tombstone[..]).arg(id.as_slice());
    call.arg(keyspace.publish());
    for (channel, message) in deletion.change.end(session.id, keyspace, reading.now()) {
        call.arg(channel).arg(&message[..]);
    }
    if context.audit.is_on() {
        let tag = deletion.change.tag;
        deletion.change.audit(session.id, call);
        call.arg(format!("{}.{}", tag.epoch, tag.version));
    }
    context.replicas.wait(&mut commands);
    commands
}

/// Deletes them one after the other; returns the outcome of each.
pub(super) async fn carry_out(
    connection: &mut LazyConnection,
    replicas: &Replicas,
    deletion_scripts: Vec<(usize, Pipeline)>,
) -> Vec<(usize, DeletionOutcome)> {
    let mut all = Vec::with_capacity(deletion_scripts.len());
    for (place, commands) in deletion_scripts {
        let buried = match connection.ask(Operation::Commit, &commands).await {
            Ok(RoundTrip { mut replies, .. }) => {
                let is_replicated = replicas.have_it(&mut replies);
                match replies.pop() {
                    Some(Value::Int(1)) if is_replicated => DeletionOutcome::Yes,
                    Some(Value::Int(1)) => DeletionOutcome::Unknown,
                    Some(_) | None => DeletionOutcome::No,
                }
            }
            Err(RedisError::Io(_) | RedisError::Misconfigured(_)) => DeletionOutcome::Unknown,
            Err(RedisError::Server(_) | RedisError::Moved(_) | RedisError::TryAgain(_)) => DeletionOutcome::No,
        };
        all.push((place, buried));
    }
    all
}
