//! What is looked at now and then beside deadlines: whether the number of partitions is still ours, whether the server
//! would take a change, what its clock is corrected by, and whether keys that were found unfit are mended. Everything goes with the sweep's own
//! commands. Does not know when it is asked.

use crate::redis::{Pipeline, RedisError, check_key_types, query_key_types, resp::Value};
use crate::store::redis::connection::replies;
use crate::store::redis::shard_context::ShardContext;
use crate::store::redis::time::agreement;

/// In which of its rounds the sweep looks at the number of partitions, and in which at the correction of the clock and
/// tries whether changes are taken:
/// where everything is in one place, and where there are many.
const NUMBER_ROUNDS: (u64, u64) = (2, 10);
const CHANGE_ROUNDS: (u64, u64) = (10, 20);

/// What is looked at in one round.
pub(in crate::store::redis) struct Inspection {
    number: bool,
    change: bool,
    /// What the clock is corrected by, behind all else.
    pub(in crate::store::redis) clock: bool,
    partitions: Vec<crate::redis::Partition>,
}

impl Inspection {
    /// Adds what is asked in a round.
    pub(in crate::store::redis) fn begin(shared: &ShardContext, round: u64, commands: &mut Pipeline) -> Self {
        let is_whole = shared.keyspace.all().count() == usize::from(shared.keyspace.partitions());
        let is_due = |(whole, part)| round.is_multiple_of(if is_whole { whole } else { part });
        let number = is_due(NUMBER_ROUNDS);
        let change = is_due(CHANGE_ROUNDS) || shared.faults.is_refused();
        let clock = is_due(CHANGE_ROUNDS) || shared.server_clock.is_in_doubt();
        let partitions = shared.faults.partitions();
        if number {
            commands.cmd("GET").arg(shared.keyspace.partition_count());
        }
        if change && let Some(partition) = shared.keyspace.all().next() {
            // A server judges a command when it is queued, and what is discarded is not carried out.
            commands.cmd("MULTI").cmd("ZADD").arg(shared.keyspace.deadlines(partition)).arg(0).arg("").cmd("DISCARD");
        }
        for partition in &partitions {
            query_key_types(commands, &shared.keyspace, *partition);
        }
        if clock {
            agreement::look(&shared.keyspace, commands);
        }
        Self { number, change, clock, partitions }
    }

    /// Takes in the replies, and adds what has to be put right.
    pub(in crate::store::redis) fn end(
        self,
        shared: &ShardContext,
        replies: &mut impl Iterator<Item = Value>,
        mend: &mut Pipeline,
    ) -> Result<(), RedisError> {
        if self.number {
            let ours = shared.keyspace.partitions().to_string();
            match replies::next(replies)? {
                // Somebody has emptied the server: whoever comes next must find it.
                Value::Nil => {
                    tracing::warn!(partitions = ours, "the number of partitions was missing in Redis: it is written");
                    mend.cmd("SET").arg(shared.keyspace.partition_count()).arg(ours).arg("NX");
                }
                Value::Text(theirs) if theirs == ours.as_bytes() => shared.faults.everywhere(None),
                other @ (Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::List(_) | Value::Error(_)) => {
                    let theirs = other.text().or(other.error()).unwrap_or_default();
                    let why = format!("Redis holds {theirs} partitions, and PARTITIONS says {ours}");
                    shared.faults.everywhere(Some(why));
                }
            }
        }
        if self.change {
            let (_begun, queued, _over) = (replies::next(replies)?, replies::next(replies)?, replies::next(replies)?);
            shared.faults.refuses(queued.error());
        }
        for partition in self.partitions {
            if check_key_types(&shared.keyspace, partition, replies).is_none() {
                shared.faults.mended(partition);
            }
        }
        Ok(())
    }
}
