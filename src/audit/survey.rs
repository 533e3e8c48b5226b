//! What is in a queue and what has to be seen to, looked at in one go. Does not know what is done about it.

use crate::engine::Timestamp;
use crate::redis::{Commands, LinkError, Partition, Queue as Part, Reply};

use super::carried::Carried;
use super::operator::Stats;
use super::queue::Queue;
use super::replies::{list, number, time_ms};

/// What each partition is asked.
const QUESTIONS: usize = 5;

/// Of jobs that are delayed, so many that are due first and as many that are due last are looked at: the oldest is due
/// first when its holder died, and last when it was tried most often.
const EDGE: i64 = 16;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) stats: Stats,
    /// The time that leases go by; not asked for when nothing waits and nothing is held.
    pub(super) now: Timestamp,
    /// Batches whose lease is over.
    pub(super) over: Vec<(Partition, String)>,
}

/// What else is to be known of what is not empty.
enum More {
    /// Jobs one of which may be the oldest.
    Old,
    /// A batch that is held, and until when.
    Held(Partition, String, u64),
}

impl Queue {
    /// Looks at everything.
    pub(super) async fn survey(&mut self) -> Result<Survey, LinkError> {
        let all: Vec<_> = self.keyspace.all().collect();
        let mut commands = Commands::new();
        for partition in &all {
            commands.cmd("LLEN").arg(self.key(*partition, Part::Wait));
            commands.cmd("ZCARD").arg(self.key(*partition, Part::Delayed));
            commands.cmd("LLEN").arg(self.key(*partition, Part::Dead));
            commands.cmd("GET").arg(self.key(*partition, Part::Bytes));
            commands.cmd("ZRANGE").arg(self.key(*partition, Part::Lease)).arg(0).arg(-1).arg("WITHSCORES");
        }
        let replies = self.ask(&commands).await?;
        let (mut survey, mut more, mut commands) = (Survey::default(), Vec::new(), Commands::new());
        commands.cmd("TIME");
        for (partition, replies) in all.into_iter().zip(replies.chunks(QUESTIONS)) {
            let [waiting, delayed, dead, held_bytes, leases] = replies else { continue };
            let stats = &mut survey.stats;
            stats.waiting += number(waiting);
            stats.delayed += number(delayed);
            stats.dead += number(dead);
            stats.bytes += number(held_bytes);
            if number(waiting) > 0 {
                commands.cmd("LINDEX").arg(self.key(partition, Part::Wait)).arg(0);
                more.push(More::Old);
            }
            if number(delayed) > 0 {
                let key = self.key(partition, Part::Delayed);
                for (first, last) in [(0, EDGE - 1), (-EDGE, -1)] {
                    commands.cmd("ZRANGE").arg(&key).arg(first).arg(last);
                    more.push(More::Old);
                }
            }
            for lease in leases.list().chunks(2) {
                let [name, end] = lease else { continue };
                let name = name.text().unwrap_or_default().to_owned();
                // The oldest is the first, as it was in the queue.
                commands.cmd("LINDEX").arg(self.batch(partition, &name)).arg(0);
                more.push(More::Old);
                commands.cmd("LLEN").arg(self.batch(partition, &name));
                more.push(More::Held(partition, name, end.number().unwrap_or_default()));
            }
        }
        if !more.is_empty() {
            let mut replies = self.ask(&commands).await?.into_iter();
            survey.now = Timestamp::from_ms(replies.next().as_ref().map_or(0, time_ms));
            more.into_iter().zip(replies).for_each(|(more, reply)| survey.learn(more, reply));
        }
        Ok(survey)
    }
}

impl Survey {
    fn learn(&mut self, more: More, reply: Reply) {
        match more {
            More::Old => {
                let entries = if reply.list().is_empty() { vec![reply.into_bytes()] } else { list(reply) };
                let ages = entries.into_iter().filter_map(|entry| Carried::parse(entry).name).map(|name| name.at);
                self.stats.oldest = self.stats.oldest.into_iter().chain(ages).min();
            }
            More::Held(partition, name, end_ms) => {
                self.stats.held += number(&reply);
                if end_ms <= self.now.as_ms() {
                    self.over.push((partition, name));
                }
            }
        }
    }
}
