//! A committer: owns one connection and commits one batch of commands at a time, in two round trips.
//!
//! ```text
//! 1  counters of rate limits   UNWATCH   WATCH keys   MGET keys   TIME
//!    decide each command in order of arrival; commands on one session build on each other
//! 2  MULTI   per change: PUBLISHes   per session: SETEX state, ZADD or ZREM deadline
//!            per partition: RPUSH audit jobs, HSET pending, INCRBY bytes   EXEC   WAIT, if replicas must have it
//! ```
//!
//! A batch that meets a conflict is retried (`conflict_retry.rs`); one whose outcome is in doubt is looked up first.
//! Does not know what a command is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc};
use tracing::debug;

use crate::clock::Moment;
use crate::redis::RedisError;
use crate::runtime::time;
use crate::store::metrics::{Operation, Role};
use crate::store::redis::connection::{Connector, LazyConnection};
use crate::store::redis::jitter;
use crate::store::redis::replies::{self, Executed};
use crate::store::redis::time::Reading;
use crate::supervision::panic_point;

use super::batch_replies::Unsettled;
use super::commit_batch::CommitBatch;
use super::commit_context::CommitContext;
use super::conflict_retry::{NextAttempt, Retry, RetryQueue};
use super::deletion_script;
use super::pending_commit::PendingCommit;
use super::refusals;
use super::state_cache::StateCache;
use super::transaction::Decided;

/// Commands that are committed together at most.
const BATCH_MAX: usize = 128;
/// How long a command waits for another that arrived before a deadline, in microseconds.
const DEFERRED_PAUSE_US: (u64, u64) = (200, 1_000);
/// The backoff before a reconnect that looks up commits in doubt.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// The beginnings of the errors of a server that takes no changes for now: another connection meets the same.
const PASSING: [&str; 3] = [FULL, "NOREPLICAS", "MISCONF"];
/// The beginning of the error of a full server.
const FULL: &str = "OOM";

/// Commits batches of commands, one after the other (group commit).
pub(in crate::store::redis) struct Committer {
    context: Arc<CommitContext>,
    inbox: OwnedMutexGuard<mpsc::Receiver<PendingCommit>>,
    connection: LazyConnection,
    retries: RetryQueue,
    cache: StateCache,
}

/// What an attempt to commit a batch came to.
enum BatchOutcome {
    /// Every command was answered.
    Done,
    /// Another instance changed a session since it was loaded: nothing was done.
    Conflict(Vec<PendingCommit>),
    /// Nothing was done: another server is responsible, or will be.
    Elsewhere(Vec<PendingCommit>),
    /// The connection is lost; commands whose outcome is unknown are in doubt.
    Lost {
        commits: Vec<PendingCommit>,
        /// The connection had served before: another one may work.
        was_used: bool,
    },
}

impl Committer {
    /// One of so many committers.
    pub(in crate::store::redis) fn new(
        context: Arc<CommitContext>,
        connector: Arc<Connector>,
        inbox: OwnedMutexGuard<mpsc::Receiver<PendingCommit>>,
        committers: usize,
    ) -> Self {
        let connection = LazyConnection::new(connector, Role::Changes);
        Self { context, inbox, connection, retries: RetryQueue::default(), cache: StateCache::new(committers) }
    }

    /// Runs until no further commands can come.
    pub(in crate::store::redis) async fn run(mut self) {
        while let Some(Retry { tries, commits, .. }) = self.next_batch().await {
            panic_point("committer", "");
            self.commit(commits, tries).await;
        }
    }

    async fn next_batch(&mut self) -> Option<Retry> {
        loop {
            let now = self.moment();
            let mut batch = match self.retries.next(now) {
                NextAttempt::Now(retry) => retry,
                NextAttempt::DoubtUntil(due) => {
                    time::sleep(due.since(now)).await;
                    continue;
                }
                NextAttempt::RetryAt(due) => tokio::select! {
                    biased;
                    pending = self.inbox.recv() => self.first(pending?, now),
                    () = time::sleep(due.since(now)) => continue,
                },
                NextAttempt::Idle => {
                    let pending = self.inbox.recv().await?;
                    self.first(pending, now)
                }
            };
            while batch.tries == 0
                && !batch.is_in_doubt()
                && batch.commits.len() < BATCH_MAX
                && let Ok(pending) = self.inbox.try_recv()
            {
                batch.commits.extend(self.retries.join(pending));
            }
            if !batch.commits.is_empty() {
                return Some(batch);
            }
        }
    }

    /// A batch that begins with `pending`, unless its session is being retried already.
    fn first(&mut self, pending: PendingCommit, now: Moment) -> Retry {
        Retry { due: now, tries: 0, commits: self.retries.join(pending).into_iter().collect() }
    }

    /// Attempts once; what is not answered is retried later.
    async fn commit(&mut self, commits: Vec<PendingCommit>, tries: u32) {
        let now = self.moment();
        let (late, waiting): (Vec<_>, Vec<_>) = commits.into_iter().partition(|pending| pending.expires <= now);
        late.into_iter().for_each(PendingCommit::fail_unavailable);
        if waiting.is_empty() {
            return;
        }
        match self.attempt(waiting, tries).await {
            BatchOutcome::Done => {}
            BatchOutcome::Lost { commits, was_used } => {
                self.connection.discard();
                let (in_doubt, untouched): (Vec<_>, Vec<_>) =
                    commits.into_iter().partition(|pending| pending.in_doubt.is_some());
                if was_used {
                    self.retry(Duration::ZERO, tries, untouched.into_iter().map(PendingCommit::uncounted).collect());
                } else {
                    untouched.into_iter().for_each(PendingCommit::fail_unavailable);
                }
                self.retry(if was_used { Duration::ZERO } else { RECONNECT_PAUSE }, tries, in_doubt);
            }
            BatchOutcome::Elsewhere(commits) => {
                self.connection.discard();
                self.retry(RECONNECT_PAUSE, tries, commits);
            }
            BatchOutcome::Conflict(commits) => {
                let now = self.moment();
                let refused = self.retries.retry_conflict(now, tries, commits, &self.context.metrics);
                if !refused.is_empty() {
                    refusals::settle(&self.context.refusals, &mut self.connection, refused).await;
                }
            }
        }
    }

    fn retry(&mut self, pause: Duration, tries: u32, commits: Vec<PendingCommit>) {
        if !commits.is_empty() {
            self.context.metrics.retried(commits.len());
            self.retries.push(self.moment() + pause, tries, commits);
        }
    }

    fn moment(&self) -> Moment {
        self.context.inputs.server_clock.moment()
    }

    async fn attempt(&mut self, commits: Vec<PendingCommit>, tries: u32) -> BatchOutcome {
        let was_used = self.connection.is_made();
        let run_id = match self.connection.run_id().await {
            Ok(run_id) => run_id,
            // Where there are several servers another one is asked next.
            Err(RedisError::Moved(_)) if self.connection.connector().changes() > 0 => {
                return BatchOutcome::Elsewhere(commits);
            }
            Err(_) => return BatchOutcome::Lost { commits, was_used: false },
        };
        let mut batch = CommitBatch::new(&self.context, run_id, commits);
        let load = self.connection.ask(Operation::Load, &batch.load()).await;
        let reading = match load.and_then(|asked| batch.loaded(asked, &self.cache)) {
            Ok(reading) => reading,
            Err(error @ (RedisError::Moved(_) | RedisError::TryAgain(_))) => {
                debug!(%error, "cannot load sessions there");
                return BatchOutcome::Elsewhere(batch.into_commits());
            }
            Err(error) => {
                self.connection.connector().failed(&error);
                debug!(%error, "cannot load sessions");
                return BatchOutcome::Lost { commits: batch.into_commits(), was_used };
            }
        };
        let Decided { transaction, deferred, surplus } = batch.decide(&reading);
        let later =
            [(jitter::between_us(DEFERRED_PAUSE_US.0, DEFERRED_PAUSE_US.1), deferred), (Duration::ZERO, surplus)];
        for (pause, commits) in later {
            self.retries.push(self.context.inputs.server_clock.moment() + pause, tries, commits);
        }
        let Some(transaction) = transaction else {
            // What is found to be done counts when enough replicas have all that was done until now.
            let is_replicated = self.context.replicas.are_none()
                || batch.has_replays() && self.context.replicas.have_all(&mut self.connection).await;
            return Self::acknowledge(&self.context, &mut self.connection, batch, &reading, is_replicated).await;
        };
        let mut commit = self.connection.ask(Operation::Commit, &transaction).await;
        let is_replicated = commit.as_mut().is_ok_and(|asked| self.context.replicas.have_it(&mut asked.replies));
        match commit.and_then(|asked| replies::executed(asked.replies)) {
            Ok(executed @ (Executed::Yes | Executed::Broken(_))) => {
                if let Executed::Broken(failed) = executed {
                    batch.take_down(failed);
                }
                self.context.health.faults.refuses(None);
                self.context.audit.wake_up().notify();
                batch.leave(&mut self.cache);
                Self::acknowledge(&self.context, &mut self.connection, batch, &reading, is_replicated).await
            }
            Ok(Executed::Conflict) => {
                self.context.metrics.conflict();
                BatchOutcome::Conflict(batch.into_conflicted(&reading))
            }
            Err(RedisError::Server(why)) => {
                let is_known = PASSING.iter().any(|code| why.starts_with(code));
                if !is_known {
                    self.connection.connector().failed(&RedisError::Server(why.clone()));
                }
                self.context.health.faults.refuses(Some(&why));
                let is_needed = why.starts_with(FULL) && batch.deletions().next().is_some();
                let script = if is_needed { deletion_script::load(&mut self.connection).await } else { None };
                let deletions = script.map(|script| batch.deletion_scripts(&script, &reading)).unwrap_or_default();
                let buried = deletion_script::carry_out(&mut self.connection, &self.context.replicas, deletions).await;
                batch.refuse(&buried, &reading);
                if !is_known {
                    // Perhaps another server is the right one now.
                    self.connection.discard();
                }
                BatchOutcome::Done
            }
            Err(error @ (RedisError::Moved(_) | RedisError::TryAgain(_))) => {
                debug!(%error, "a transaction was not carried out");
                BatchOutcome::Elsewhere(batch.into_conflicted(&reading))
            }
            Err(error @ (RedisError::Io(_) | RedisError::Misconfigured(_))) => {
                debug!(%error, "the outcome of a transaction is not known yet");
                BatchOutcome::Lost { commits: batch.into_in_doubt(), was_used }
            }
        }
    }

    /// Replies to every command, unless the run of the server is over that the batch was committed to.
    async fn acknowledge(
        context: &CommitContext,
        connection: &mut LazyConnection,
        batch: CommitBatch<'_>,
        reading: &Reading,
        is_replicated: bool,
    ) -> BatchOutcome {
        if is_replicated && !batch.remember() {
            return BatchOutcome::Lost { commits: batch.into_in_doubt(), was_used: true };
        }
        let Unsettled { refused, carried_out } = batch.answer(reading, is_replicated);
        if !carried_out.is_empty() {
            refusals::count(&context.keyspace, connection, carried_out).await;
        }
        if !refused.is_empty() {
            refusals::settle(&context.refusals, connection, refused).await;
        }
        BatchOutcome::Done
    }
}
