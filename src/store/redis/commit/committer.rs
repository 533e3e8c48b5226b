//! A committer: owns one connection and commits one batch of commands at a time, in two round trips.
//!
//! ```text
//! 1  counters of rate limits   UNWATCH   WATCH keys   MGET keys   TIME
//!    decide each command in order of arrival; commands on one session build on each other
//! 2  MULTI   per change: PUBLISHes   per session: SETEX state, ZADD or ZREM deadline
//!            per partition: RPUSH audit jobs, HSET pending, INCRBY bytes   EXEC   WAIT, if replicas must have it
//! ```
//!
//! A batch that meets a conflict is retried with jitter; one whose outcome is in doubt is looked up first. Knows how a batch
//! stands or falls; does not know what a command is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc};
use tracing::debug;

use crate::clock::Moment;
use crate::redis::RedisError;
use crate::store::metrics::{Operation, Role};
use crate::store::redis::connection::jitter;
use crate::store::redis::connection::lazy_connection::LazyConnection;
use crate::store::redis::connection::replies::{self, Executed};
use crate::store::redis::shard_context::ShardContext;
use crate::store::redis::time::Reading;
use crate::supervision::panic_point;

use super::commit_batch::{CommitBatch, Decided, Unsettled};
use super::deletion_script;
use super::pending_commit::PendingCommit;
use super::refusals;
use super::state_cache::StateCache;

/// Commands that are committed together at most.
const BATCH_MAX: usize = 128;
/// Retries of a session that other instances keep changing.
const TRIES_MAX: u32 = 8;
/// The backoff after a conflict, in microseconds; jitter picks from the range.
const CONFLICT_PAUSE_US: (u64, u64) = (200, 10_000);
/// How long a command waits for another that arrived before a deadline, in microseconds.
const DEFERRED_PAUSE_US: (u64, u64) = (200, 1_000);
/// The backoff before a reconnect that looks up commits in doubt.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// How a server begins to say that it takes no changes for now: whoever connects again would be told the same.
const PASSING: [&str; 3] = [FULL, "NOREPLICAS", "MISCONF"];
/// How it begins to say that it is full.
const FULL: &str = "OOM";

/// Commits batches of commands, one after the other (group commit).
pub(in crate::store::redis) struct Committer {
    shared: Arc<ShardContext>,
    inbox: OwnedMutexGuard<mpsc::Receiver<PendingCommit>>,
    connection: LazyConnection,
    /// Batches that wait for their retry.
    again: Vec<Retry>,
    cache: StateCache,
}

/// A batch that is retried when it is due.
struct Retry {
    due: Moment,
    /// Conflicts so far; after one all commands are of one session, which goes alone.
    tries: u32,
    commits: Vec<PendingCommit>,
}

/// What an attempt to commit a batch came to.
enum BatchOutcome {
    /// Every command was replied to.
    Done,
    /// Another instance changed a session since it was loaded: nothing was done.
    Conflict(Vec<PendingCommit>),
    /// Nothing was done: another server is responsible, or will be.
    Elsewhere(Vec<PendingCommit>),
    /// The connection is lost; commands whose outcome is unknown are in doubt.
    Lost {
        commits: Vec<PendingCommit>,
        /// The connection had served before: another may do.
        was_used: bool,
    },
}

impl Committer {
    /// One of so many.
    pub(in crate::store::redis) fn new(
        shared: Arc<ShardContext>,
        inbox: OwnedMutexGuard<mpsc::Receiver<PendingCommit>>,
        committers: usize,
    ) -> Self {
        Self {
            shared,
            inbox,
            connection: LazyConnection::new(Role::Changes),
            again: Vec::new(),
            cache: StateCache::new(committers),
        }
    }

    /// Runs until nobody can send commands any more.
    pub(in crate::store::redis) async fn run(mut self) {
        while let Some(Retry { tries, commits, .. }) = self.next_batch().await {
            panic_point("committer", "");
            self.commit(commits, tries).await;
        }
    }

    async fn next_batch(&mut self) -> Option<Retry> {
        loop {
            let now = self.shared.clock.moment();
            let earliest = self.again.iter().enumerate().min_by_key(|(_, again)| (!again.is_unknown(), again.due));
            let earliest = earliest.map(|(place, again)| (place, again.due, again.is_unknown()));
            let mut batch = match earliest {
                Some((place, due, _)) if due <= now => self.again.swap_remove(place),
                // Nobody else goes first: a state remembers its last events only.
                Some((_, due, true)) => {
                    tokio::time::sleep(due.since(now)).await;
                    continue;
                }
                Some((_, due, false)) => tokio::select! {
                    biased;
                    pending = self.inbox.recv() => self.first(pending?, now),
                    () = tokio::time::sleep(due.since(now)) => continue,
                },
                None => {
                    let pending = self.inbox.recv().await?;
                    self.first(pending, now)
                }
            };
            while batch.tries == 0
                && !batch.is_unknown()
                && batch.commits.len() < BATCH_MAX
                && let Ok(pending) = self.inbox.try_recv()
            {
                match self.again.iter_mut().find(|again| again.is_alone_with(&pending)) {
                    Some(again) => again.commits.push(pending),
                    None => batch.commits.push(pending),
                }
            }
            if !batch.commits.is_empty() {
                return Some(batch);
            }
        }
    }

    /// A batch that begins with `pending`, unless its session is being retried already.
    fn first(&mut self, pending: PendingCommit, now: Moment) -> Retry {
        match self.again.iter_mut().find(|again| again.is_alone_with(&pending)) {
            Some(again) => {
                again.commits.push(pending);
                Retry { due: now, tries: 0, commits: Vec::new() }
            }
            None => Retry { due: now, tries: 0, commits: vec![pending] },
        }
    }

    /// Attempts once; whatever is not replied to is retried later.
    async fn commit(&mut self, commits: Vec<PendingCommit>, tries: u32) {
        let now = self.shared.clock.moment();
        let (late, waiting): (Vec<_>, Vec<_>) = commits.into_iter().partition(|pending| pending.expires <= now);
        late.into_iter().for_each(PendingCommit::fail_unavailable);
        if waiting.is_empty() {
            return;
        }
        match self.attempt(waiting, tries).await {
            BatchOutcome::Done => {}
            BatchOutcome::Lost { commits, was_used } => {
                self.connection.discard();
                let (unknown, untouched): (Vec<_>, Vec<_>) =
                    commits.into_iter().partition(|pending| pending.in_doubt.is_some());
                if was_used {
                    self.again(Duration::ZERO, tries, untouched.into_iter().map(PendingCommit::uncounted).collect());
                } else {
                    untouched.into_iter().for_each(PendingCommit::fail_unavailable);
                }
                self.again(if was_used { Duration::ZERO } else { RECONNECT_PAUSE }, tries, unknown);
            }
            BatchOutcome::Elsewhere(commits) => {
                self.connection.discard();
                self.again(RECONNECT_PAUSE, tries, commits);
            }
            BatchOutcome::Conflict(left) => {
                let sessions = by_session(left);
                let is_one = sessions.len() == 1;
                for commits in sessions {
                    if tries >= TRIES_MAX {
                        let refused = commits.into_iter().filter_map(PendingCommit::fail_conflict).collect();
                        refusals::settle(&self.shared, &mut self.connection, refused).await;
                        continue;
                    }
                    let (least, most) = CONFLICT_PAUSE_US;
                    let pause = if is_one { jitter::between_us(least, most) } else { Duration::ZERO };
                    self.again(pause, tries + 1, commits);
                }
            }
        }
    }

    fn again(&mut self, pause: Duration, tries: u32, commits: Vec<PendingCommit>) {
        if !commits.is_empty() {
            self.shared.metrics.retried(commits.len());
            self.again.push(Retry { due: self.shared.clock.moment() + pause, tries, commits });
        }
    }

    async fn attempt(&mut self, commits: Vec<PendingCommit>, tries: u32) -> BatchOutcome {
        let was_used = self.connection.is_made();
        let run_id = match self.connection.run_id(&self.shared).await {
            Ok(run_id) => run_id,
            // Where there are several servers another one is asked next.
            Err(RedisError::Moved(_)) if self.shared.server.changes() > 0 => return BatchOutcome::Elsewhere(commits),
            Err(_) => return BatchOutcome::Lost { commits, was_used: false },
        };
        let mut batch = CommitBatch::new(&self.shared, run_id, commits);
        let load = self.connection.ask(&self.shared, Operation::Load, &batch.load()).await;
        let reading = match load.and_then(|asked| batch.loaded(asked, &self.cache)) {
            Ok(reading) => reading,
            Err(error @ (RedisError::Moved(_) | RedisError::TryAgain(_))) => {
                debug!(%error, "cannot load sessions there");
                return BatchOutcome::Elsewhere(batch.into_commits());
            }
            Err(error) => {
                self.shared.failed(&error);
                debug!(%error, "cannot load sessions");
                return BatchOutcome::Lost { commits: batch.into_commits(), was_used };
            }
        };
        let Decided { transaction, deferred, surplus } = batch.decide(&reading);
        let later =
            [(jitter::between_us(DEFERRED_PAUSE_US.0, DEFERRED_PAUSE_US.1), deferred), (Duration::ZERO, surplus)];
        for (pause, commits) in later {
            if !commits.is_empty() {
                self.again.push(Retry { due: self.shared.clock.moment() + pause, tries, commits });
            }
        }
        let Some(transaction) = transaction else {
            let is_replicated = self.shared.replicas.are_none();
            return Self::acknowledge(&self.shared, &mut self.connection, batch, &reading, is_replicated).await;
        };
        let mut commit = self.connection.ask(&self.shared, Operation::Commit, &transaction).await;
        let is_replicated = commit.as_mut().is_ok_and(|asked| self.shared.replicas.have_it(&mut asked.replies));
        match commit.and_then(|asked| replies::executed(asked.replies)) {
            Ok(executed @ (Executed::Yes | Executed::Broken(_))) => {
                if let Executed::Broken(failed) = executed {
                    batch.take_down(failed);
                }
                self.shared.faults.refuses(None);
                self.shared.wake_up.notify();
                batch.leave(&mut self.cache);
                Self::acknowledge(&self.shared, &mut self.connection, batch, &reading, is_replicated).await
            }
            Ok(Executed::Conflict) => {
                self.shared.metrics.conflict();
                BatchOutcome::Conflict(batch.into_conflicted(&reading))
            }
            Err(RedisError::Server(why)) => {
                let is_known = PASSING.iter().any(|code| why.starts_with(code));
                if !is_known {
                    self.shared.failed(&RedisError::Server(why.clone()));
                }
                self.shared.faults.refuses(Some(&why));
                let is_needed = why.starts_with(FULL) && batch.deletions().next().is_some();
                let script =
                    if is_needed { deletion_script::load(&mut self.connection, &self.shared).await } else { None };
                let deletions = script.map(|script| batch.deletion_scripts(&script, &reading)).unwrap_or_default();
                let buried = deletion_script::carry_out(&mut self.connection, &self.shared, deletions).await;
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
        shared: &Arc<ShardContext>,
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
            refusals::count(shared, connection, carried_out).await;
        }
        if !refused.is_empty() {
            refusals::settle(shared, connection, refused).await;
        }
        BatchOutcome::Done
    }
}

impl Retry {
    /// Whether a commit of it is in doubt, and must be looked up first.
    fn is_unknown(&self) -> bool {
        self.commits.iter().any(|pending| pending.in_doubt.is_some())
    }

    fn is_alone_with(&self, pending: &PendingCommit) -> bool {
        self.tries > 0 && self.commits.first().is_some_and(|first| first.commit.id == pending.commit.id)
    }
}

/// Commands of the same session together, in their order.
fn by_session(commits: Vec<PendingCommit>) -> Vec<Vec<PendingCommit>> {
    let mut sessions: Vec<Vec<PendingCommit>> = Vec::new();
    for pending in commits {
        match sessions.iter_mut().find(|others| others[0].commit.id == pending.commit.id) {
            Some(others) => others.push(pending),
            None => sessions.push(vec![pending]),
        }
    }
    sessions
}
