//! Mutants: bugs that could have been made, each as one change of the server's text. Whoever runs them builds the server with
//! one at a time and lets the seeds and the unit tests find it (`src/bin/mutants.rs`); `tests/mutants.rs` holds that each can
//! still be made. Does not know how they are found.

/// A bug that could have been made.
pub struct Mutant {
    /// What it is called.
    pub name: &'static str,
    /// The file that it changes, below the project's root.
    pub file: &'static str,
    /// The text that goes, which is there once.
    pub from: &'static str,
    /// What stands there instead.
    pub to: &'static str,
}

const fn mutant(name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { name, file, from, to }
}

const BATCH: &str = "src/store/redis/commit/commit_batch.rs";
const REPLIES: &str = "src/store/redis/commit/batch_replies.rs";
const JUDGEMENT: &str = "src/store/redis/commit/judgement.rs";
const TRANSACTION: &str = "src/store/redis/commit/transaction.rs";
const WRITE: &str = "src/store/redis/commit/session_write.rs";
const COMMITTER: &str = "src/store/redis/commit/committer.rs";
const CONNECTOR: &str = "src/store/redis/connection/connector.rs";
const DETECTOR: &str = "src/store/redis/health/loss_detector.rs";
const CHANNEL: &str = "src/store/redis/subscriptions/channel.rs";
const RESYNC: &str = "src/store/redis/subscriptions/resync.rs";
const UPDATES: &str = "src/store/redis/subscriptions/task.rs";
const SHARD: &str = "src/store/redis/shard.rs";
const SWEEP: &str = "src/store/redis/deadlines/sweep.rs";
const CONTEXT: &str = "src/store/contract/decision_context.rs";
const PROCESSOR: &str = "src/audit/processor.rs";
const POISON: &str = "src/audit/poison_jobs.rs";
const QUEUE: &str = "src/audit/queue.rs";

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    mutant("keys are not watched", BATCH, r#"load.cmd("WATCH").args(keys.clone());"#, r#"load.cmd("UNWATCH");"#),
    mutant(
        "a conflict counts as committed",
        COMMITTER,
        "Ok(Executed::Conflict) => {",
        "Ok(Executed::Conflict) if false => {",
    ),
    mutant(
        "an outcome in doubt is told as nothing done",
        SHARD,
        "Err(_) => Err(StoreError::UnknownOutcome),",
        r#"Err(_) => Err(StoreError::Unavailable("the store does not answer in time")),"#,
    ),
    mutant(
        "a commit in doubt is forgotten to be one",
        REPLIES,
        "pending.in_doubt = Some(InDoubt { record, verdict, base });",
        "drop(InDoubt { record, verdict, base });",
    ),
    mutant(
        "a commit in doubt is not recognised",
        JUDGEMENT,
        ".any(|event| self.events.contains(&event)) {",
        ".any(|event| event == Uuid::default()) {",
    ),
    mutant(
        "a record is trusted to remember all events",
        JUDGEMENT,
        "if !self.remembers_since(*base) {",
        "if !self.remembers_since(*base) && self.events.is_empty() {",
    ),
    mutant(
        "one more change fits into a batch than a record remembers",
        JUDGEMENT,
        "const CHANGES_MAX: usize = wire::EVENTS_MAX - 2;",
        "const CHANGES_MAX: usize = wire::EVENTS_MAX + 2;",
    ),
    mutant(
        "jobs are queued for the first session of a batch alone",
        TRANSACTION,
        "if changed.clone().next().is_some() {",
        "if changed.clone().count() == 1 {",
    ),
    mutant(
        "the time to live is not refreshed",
        WRITE,
        r#"transaction.cmd("SETEX").arg(&self.key).arg(ttl_s(lifetime));"#,
        r#"transaction.cmd("SETEX").arg(&self.key).arg(ttl_s(lifetime).min(2));"#,
    ),
    mutant(
        "the index of deadlines is not written",
        WRITE,
        "(old, new) if old == new => {}",
        "(old, new) if old == new || new.is_some() => {}",
    ),
    mutant(
        "a deadline that is gone stays in the index",
        WRITE,
        "(_, None) => {\n                transaction.cmd(\"ZREM\")",
        "(_, None) => {\n                transaction.cmd(\"ZSCORE\")",
    ),
    mutant(
        "a change is not published",
        WRITE,
        "for change in &self.changes {",
        "for change in self.changes.iter().skip(1) {",
    ),
    mutant(
        "the run of the server is not written with a state",
        WRITE,
        "self.header.run_id = Arc::clone(run_id);",
        "self.header.run_id = Arc::clone(&self.header.run_id);",
    ),
    mutant(
        "a state of another run counts as the newest",
        JUDGEMENT,
        "!self.is_changed() && *self.header.run_id != *run_id",
        "!self.is_changed() && *self.header.run_id != *run_id && self.events.is_empty()",
    ),
    mutant(
        "an epoch is one too low at a tombstone",
        CONTEXT,
        "StoredSession::Tombstone(tag) => (tag.epoch, tag.epoch + 1),",
        "StoredSession::Tombstone(tag) => (tag.epoch, tag.epoch),",
    ),
    mutant(
        "what a new epoch began on is not written",
        JUDGEMENT,
        "Some(before) => self.header.base = before,",
        "Some(_) => {}",
    ),
    mutant(
        "an instance does not set its own timer",
        REPLIES,
        "self.context.inputs.timers.set(session.id, wake_at);",
        "self.context.inputs.timers.set(session.id, wake_at.filter(|_| false));",
    ),
    mutant(
        "deadlines go by the clock of the instance",
        SHARD,
        "let due = self.timers.due(server_clock.now(), OVERDUE_BATCH);",
        "let due = self.timers.due(self.clock.now(), OVERDUE_BATCH);",
    ),
    mutant(
        "nobody looks for deadlines of the dead",
        SWEEP,
        "Some(id) => timers.found(id, deadline.unwrap_or_default()),",
        "Some(_) => {}",
    ),
    mutant(
        "losses are not counted",
        DETECTOR,
        "} else {\n        metrics.behind(behind);",
        "} else {\n        metrics.behind(0);",
    ),
    mutant(
        "another run is used before losses are known",
        CONNECTOR,
        "if run.is_some() {",
        "if run.is_some() && is_same {",
    ),
    mutant(
        "what was committed to a run that is over is acknowledged",
        DETECTOR,
        "if kept.run.as_ref().is_some_and(|present| present != run) {",
        "if kept.run.as_ref().is_some_and(|present| present != run && present.is_empty()) {",
    ),
    mutant(
        "a server that could not be reached once is given up",
        CONNECTOR,
        "if self.health.server.trouble().is_some() {\n            // What comes of it is noted.",
        "if self.health.server.trouble().is_none() {\n            // What comes of it is noted.",
    ),
    mutant(
        "a resync is dropped",
        RESYNC,
        "let is_other = self.run.as_ref().is_some_and(|before| *before != run);",
        "let is_other = self.run.as_ref().is_some_and(|before| *before != run && run.is_empty());",
    ),
    mutant(
        "what was published during an interruption is lost",
        RESYNC,
        "self.catch(id, found, is_other);\n            }\n        }",
        "drop((id, found));\n            }\n        }",
    ),
    mutant("old updates are told again", CHANNEL, "if Some(tag) <= self.told {", "if Some(tag) < self.told {"),
    mutant(
        "updates that come before the state is known are dropped",
        CHANNEL,
        "std::mem::take(&mut self.held)\n    }",
        "drop(std::mem::take(&mut self.held));\n        Vec::new()\n    }",
    ),
    mutant(
        "a connection that is silent is kept",
        UPDATES,
        "if silence >= SILENCE_MAX {",
        "if silence >= SILENCE_MAX * 1_000 {",
    ),
    mutant(
        "an interruption is not told",
        UPDATES,
        "self.watched.values_mut().for_each(Channel::is_interrupted);",
        "self.watched.values_mut().for_each(drop);",
    ),
    mutant(
        "jobs count as written although the database is away",
        POISON,
        "self.breaker.failed(&why);\n                    return None;",
        "self.breaker.failed(&why);\n                    attempt.outcomes.extend(jobs.iter().map(|_| JobOutcome::Written));",
    ),
    mutant(
        "a job that fails is dropped",
        POISON,
        "attempt.outcomes.push(failed(jobs[0].attempts(), why.clone()));",
        "attempt.outcomes.push(JobOutcome::Written);",
    ),
    mutant(
        "a batch that was not acknowledged is forgotten",
        PROCESSOR,
        "self.unacknowledged.push(report);",
        "drop(report);",
    ),
    mutant(
        "a lease is not reaped",
        PROCESSOR,
        "let (reaped, dead) = self.queue.reap(&expired).await?;",
        "let (reaped, dead) = self.queue.reap(&expired[..0]).await?;",
    ),
    mutant(
        "a batch that nobody wrote is acknowledged",
        PROCESSOR,
        "None => self.queue.release(batch).await.map(|()| (None, None)),",
        "None => self.queue.acknowledge(batch, &[], None).await,",
    ),
    mutant(
        "the partition with most jobs is the only one that is fetched from",
        QUEUE,
        "Ok(most.filter(|(_, urgency)| *urgency > (0, 0)).map(|(partition, _)| partition))",
        "Ok(most.filter(|(_, urgency)| urgency.0 > 1 << 40).map(|(partition, _)| partition))",
    ),
];
