//! What became of a batch, as the script is told that settles it (`scripts/settle.lua`). Does not know when it is told.

use std::time::Duration;

use crate::redis::{Commands, Word};
use crate::wire;

use super::carried::Carried;
use super::queue::named;

/// Successes that are remembered.
const DONE_MAX: usize = 100;

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Written,
    /// Tried again after a while.
    Delayed(Duration, String),
    /// Given up.
    Dead(String),
}

/// What became of all of them: columns, as the script wants them.
#[derive(Default)]
pub(super) struct Settlement {
    written_bytes: usize,
    /// Of what is written.
    sessions: Vec<String>,
    tags: Vec<String>,
    /// Sessions of which more or fewer jobs stand apart, and how many more.
    apart: Vec<String>,
    changes: Vec<i64>,
    /// What is tried again, and in how many ms.
    delayed: Vec<Vec<u8>>,
    pauses_ms: Vec<u64>,
    dead: Vec<Vec<u8>>,
    done: Vec<Vec<u8>>,
}

impl Settlement {
    /// Each job has its fate.
    pub(super) fn of(jobs: &[Carried], fates: &[Fate]) -> Self {
        let mut settlement = Self::default();
        jobs.iter().zip(fates).for_each(|(job, fate)| settlement.add(job, fate));
        let written = jobs.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Written);
        let names: Vec<_> = written.filter_map(|(job, _)| job.name.as_ref()).collect();
        settlement.done =
            names[names.len().saturating_sub(DONE_MAX)..].iter().copied().map(wire::encode_done_job).collect();
        settlement
    }

    fn add(&mut self, job: &Carried, fate: &Fate) {
        let (session, tag) = job.name.map(named).unwrap_or_default();
        let change = match fate {
            Fate::Written => -i64::from(job.is_apart()),
            Fate::Delayed(..) | Fate::Dead(_) => i64::from(!job.is_apart()),
        };
        if change != 0 {
            self.apart.push(session.clone());
            self.changes.push(change);
        }
        match fate {
            Fate::Written => {
                self.written_bytes += job.job().len();
                self.sessions.push(session);
                self.tags.push(tag);
            }
            Fate::Delayed(pause, _) => {
                self.delayed.push(job.again());
                self.pauses_ms.push(pause.as_millis() as u64);
            }
            Fate::Dead(error) => self.dead.push(job.dead(error)),
        }
    }

    /// Adds it to the call of the script, behind the batch's name.
    pub(super) fn tell(&self, call: &mut Commands) {
        call.arg(self.written_bytes).arg(DONE_MAX);
        list(call, &self.sessions);
        list(call, &self.tags);
        list(call, &self.apart);
        list(call, &self.changes);
        list(call, &self.delayed);
        list(call, &self.pauses_ms);
        list(call, &self.dead);
        list(call, &self.done);
    }
}

/// Adds how many words there are, and the words.
fn list<W: Word>(call: &mut Commands, words: &[W]) {
    call.arg(words.len()).args(words);
}
