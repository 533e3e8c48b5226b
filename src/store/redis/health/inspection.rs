//! The periodic inspection of a server: whether the number of partitions is still ours, whether the server would take a
//! change, how its clock is corrected, and whether faulty keys are mended. Its commands go with those of the sweep.
//! Does not know when it is asked.

use tracing::warn;

use crate::redis::{Keyspace, Partition, Pipeline, RedisError, check_key_types, query_key_types, resp::Value};
use crate::store::redis::replies;
use crate::store::redis::time::{ServerClock, agreement};

use super::faults::Faults;

/// In which rounds of the sweep the number of partitions is inspected, with one shard and with many.
const NUMBER_ROUNDS: (u64, u64) = (2, 10);
/// In which rounds the correction of the clock is inspected and a change is tried, with one shard and with many.
const CHANGE_ROUNDS: (u64, u64) = (10, 20);

/// What is inspected in one round.
pub(in crate::store::redis) struct Inspection {
    number: bool,
    change: bool,
    /// What the clock is corrected by, behind all else.
    pub(in crate::store::redis) clock: bool,
    partitions: Vec<Partition>,
}

impl Inspection {
    /// Adds what is asked in a round.
    pub(in crate::store::redis) fn begin(
        keyspace: &Keyspace,
        faults: &Faults,
        server_clock: &ServerClock,
        round: u64,
        commands: &mut Pipeline,
    ) -> Self {
        let is_whole = keyspace.all().count() == usize::from(keyspace.partitions());
        let is_due = |(whole, part)| round.is_multiple_of(if is_whole { whole } else { part });
        let number = is_due(NUMBER_ROUNDS);
        let change = is_due(CHANGE_ROUNDS) || faults.is_refused();
        let clock = is_due(CHANGE_ROUNDS) || server_clock.is_in_doubt();
        let partitions = faults.partitions();
        if number {
            commands.cmd("GET").arg(keyspace.partition_count());
        }
        if change && let Some(partition) = keyspace.all().next() {
            // A server judges a command when it is queued, and what is discarded is not carried out.
            commands.cmd("MULTI").cmd("ZADD").arg(keyspace.deadlines(partition)).arg(0).arg("").cmd("DISCARD");
        }
        for partition in &partitions {
            query_key_types(commands, keyspace, *partition);
        }
        if clock {
            agreement::look(keyspace, commands);
        }
        Self { number, change, clock, partitions }
    }

    /// Takes in the replies, and adds what has to be put right.
    pub(in crate::store::redis) fn end(
        self,
        keyspace: &Keyspace,
        faults: &Faults,
        replies: &mut impl Iterator<Item = Value>,
        mend: &mut Pipeline,
    ) -> Result<(), RedisError> {
        if self.number {
            let ours = keyspace.partitions().to_string();
            match replies::next(replies)? {
                // The server was emptied: other instances must find the number there.
                Value::Nil => {
                    warn!(partitions = ours, "the number of partitions was missing in Redis: it is written");
                    mend.cmd("SET").arg(keyspace.partition_count()).arg(ours).arg("NX");
                }
                Value::Text(theirs) if theirs == ours.as_bytes() => faults.everywhere(None),
                other @ (Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::List(_) | Value::Error(_)) => {
                    let theirs = other.text().or(other.error()).unwrap_or_default();
                    let why = format!("Redis holds {theirs} partitions, and PARTITIONS says {ours}");
                    faults.everywhere(Some(why));
                }
            }
        }
        if self.change {
            let (_begun, queued, _over) = (replies::next(replies)?, replies::next(replies)?, replies::next(replies)?);
            faults.refuses(queued.error());
        }
        for partition in self.partitions {
            if check_key_types(keyspace, partition, replies).is_none() {
                faults.mended(partition);
            }
        }
        Ok(())
    }
}
