//! A committer: owns one connection and commits one group of commands at a time, in two round trips.
//!
//! ```text
//! 1  counters of rate limits   UNWATCH   WATCH keys   MGET keys   TIME
//!    decide each command in order of arrival; commands on one session build on each other
//! 2  MULTI   per change: PUBLISHes   per session: SETEX state, ZADD or ZREM deadline
//!            per partition: RPUSH audit jobs, HSET pending, INCRBY bytes   EXEC   WAIT, if replicas must have it
//! ```
//!
//! Knows how a group stands or falls; does not know what a command is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc};
use tracing::debug;

use crate::clock::Moment;
use crate::redis::RedisError;
use crate::store::metrics::{Operation, Role};
use crate::supervision::panic_point;

use super::Shared;
use super::burial;
use super::group::{Decided, Group, Unsettled};
use super::jitter;
use super::job::Job;
use super::line::Line;
use super::recent::Recent;
use super::refused;
use super::replies::{self, Executed};
use super::time::Reading;

/// Commands that are committed together at most.
const GROUP_MAX: usize = 128;
/// How often a session that others keep changing is tried again.
const TRIES_MAX: u32 = 8;
/// How long such a session is left alone, in microseconds.
const OVERTAKEN_PAUSE_US: (u64, u64) = (200, 10_000);
/// How long a command waits for another that arrived before a deadline, in microseconds.
const DEFERRED_PAUSE_US: (u64, u64) = (200, 1_000);
/// How long a lost connection is left alone before it is made anew for what may have been carried out.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// How a server begins to say that it takes no changes for now: whoever connects again would be told the same.
const PASSING: [&str; 3] = [FULL, "NOREPLICAS", "MISCONF"];
/// How it begins to say that it is full.
const FULL: &str = "OOM";

/// Commits groups of commands, one after the other.
pub(super) struct Committer {
    shared: Arc<Shared>,
    inbox: OwnedMutexGuard<mpsc::Receiver<Job>>,
    line: Line,
    /// Commands that are tried again.
    again: Vec<Again>,
    recent: Recent,
}

/// Commands that are tried again, when it is time.
struct Again {
    due: Moment,
    /// How often others were faster; then they are all of one session, which goes alone.
    tries: u32,
    jobs: Vec<Job>,
}

/// What became of a try.
enum Tried {
    /// Everybody was answered.
    Done,
    /// Another instance was faster.
    Overtaken(Vec<Job>),
    /// Nothing was done: another server is responsible, or will be.
    Elsewhere(Vec<Job>),
    /// The connection is lost; whose outcome is not known has an attempt.
    Lost {
        jobs: Vec<Job>,
        /// The connection had served before: another may do.
        was_used: bool,
    },
}

impl Committer {
    /// One of so many.
    pub(super) fn new(shared: Arc<Shared>, inbox: OwnedMutexGuard<mpsc::Receiver<Job>>, committers: usize) -> Self {
        Self { shared, inbox, line: Line::new(Role::Changes), again: Vec::new(), recent: Recent::new(committers) }
    }

    /// Runs until nobody can send commands any more.
    pub(super) async fn run(mut self) {
        while let Some(Again { tries, jobs, .. }) = self.next_group().await {
            panic_point("committer", "");
            self.commit(jobs, tries).await;
        }
    }

    async fn next_group(&mut self) -> Option<Again> {
        loop {
            let now = self.shared.clock.moment();
            let earliest = self.again.iter().enumerate().min_by_key(|(_, again)| (!again.is_unknown(), again.due));
            let earliest = earliest.map(|(place, again)| (place, again.due, again.is_unknown()));
            let mut group = match earliest {
                Some((place, due, _)) if due <= now => self.again.swap_remove(place),
                // Nobody else goes first: a state remembers its last events only.
                Some((_, due, true)) => {
                    tokio::time::sleep(due.since(now)).await;
                    continue;
                }
                Some((_, due, false)) => tokio::select! {
                    biased;
                    job = self.inbox.recv() => self.first(job?, now),
                    () = tokio::time::sleep(due.since(now)) => continue,
                },
                None => {
                    let job = self.inbox.recv().await?;
                    self.first(job, now)
                }
            };
            while group.tries == 0
                && !group.is_unknown()
                && group.jobs.len() < GROUP_MAX
                && let Ok(job) = self.inbox.try_recv()
            {
                match self.again.iter_mut().find(|again| again.is_alone_with(&job)) {
                    Some(again) => again.jobs.push(job),
                    None => group.jobs.push(job),
                }
            }
            if !group.jobs.is_empty() {
                return Some(group);
            }
        }
    }

    /// A group that begins with `job`, unless its session is being tried again already.
    fn first(&mut self, job: Job, now: Moment) -> Again {
        match self.again.iter_mut().find(|again| again.is_alone_with(&job)) {
            Some(again) => {
                again.jobs.push(job);
                Again { due: now, tries: 0, jobs: Vec::new() }
            }
            None => Again { due: now, tries: 0, jobs: vec![job] },
        }
    }

    /// Tries once; whatever is not answered then is tried again later.
    async fn commit(&mut self, jobs: Vec<Job>, tries: u32) {
        let now = self.shared.clock.moment();
        let (late, waiting): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.expires <= now);
        late.into_iter().for_each(Job::give_up);
        if waiting.is_empty() {
            return;
        }
        match self.attempt(waiting, tries).await {
            Tried::Done => {}
            Tried::Lost { jobs, was_used } => {
                self.line.lose();
                let (unknown, untouched): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.attempt.is_some());
                if was_used {
                    self.again(Duration::ZERO, tries, untouched.into_iter().map(Job::uncounted).collect());
                } else {
                    untouched.into_iter().for_each(Job::give_up);
                }
                self.again(if was_used { Duration::ZERO } else { RECONNECT_PAUSE }, tries, unknown);
            }
            Tried::Elsewhere(jobs) => {
                self.line.lose();
                self.again(RECONNECT_PAUSE, tries, jobs);
            }
            Tried::Overtaken(left) => {
                let sessions = by_session(left);
                let is_one = sessions.len() == 1;
                for jobs in sessions {
                    if tries >= TRIES_MAX {
                        let refused = jobs.into_iter().filter_map(Job::lose).collect();
                        refused::settle(&self.shared, &mut self.line, refused).await;
                        continue;
                    }
                    let (least, most) = OVERTAKEN_PAUSE_US;
                    let pause = if is_one { jitter::between_us(least, most) } else { Duration::ZERO };
                    self.again(pause, tries + 1, jobs);
                }
            }
        }
    }

    fn again(&mut self, pause: Duration, tries: u32, jobs: Vec<Job>) {
        if !jobs.is_empty() {
            self.shared.metrics.retried(jobs.len());
            self.again.push(Again { due: self.shared.clock.moment() + pause, tries, jobs });
        }
    }

    async fn attempt(&mut self, jobs: Vec<Job>, tries: u32) -> Tried {
        let was_used = self.line.is_made();
        let run_id = match self.line.run_id(&self.shared).await {
            Ok(run_id) => run_id,
            // Where there are several servers another one is asked next.
            Err(RedisError::Moved(_)) if self.shared.server.changes() > 0 => return Tried::Elsewhere(jobs),
            Err(_) => return Tried::Lost { jobs, was_used: false },
        };
        let mut group = Group::new(&self.shared, run_id, jobs);
        let load = self.line.ask(&self.shared, Operation::Load, &group.load()).await;
        let reading = match load.and_then(|asked| group.loaded(asked, &self.recent)) {
            Ok(reading) => reading,
            Err(error @ (RedisError::Moved(_) | RedisError::TryAgain(_))) => {
                debug!(%error, "cannot load sessions there");
                return Tried::Elsewhere(group.into_jobs());
            }
            Err(error) => {
                self.shared.failed(&error);
                debug!(%error, "cannot load sessions");
                return Tried::Lost { jobs: group.into_jobs(), was_used };
            }
        };
        let Decided { transaction, deferred, surplus } = group.decide(&reading);
        let later =
            [(jitter::between_us(DEFERRED_PAUSE_US.0, DEFERRED_PAUSE_US.1), deferred), (Duration::ZERO, surplus)];
        for (pause, jobs) in later {
            if !jobs.is_empty() {
                self.again.push(Again { due: self.shared.clock.moment() + pause, tries, jobs });
            }
        }
        let Some(transaction) = transaction else {
            let is_replicated = self.shared.replicas.are_none();
            return Self::acknowledge(&self.shared, &mut self.line, group, &reading, is_replicated).await;
        };
        let mut commit = self.line.ask(&self.shared, Operation::Commit, &transaction).await;
        let is_replicated = commit.as_mut().is_ok_and(|asked| self.shared.replicas.have_it(&mut asked.replies));
        match commit.and_then(|asked| replies::executed(asked.replies)) {
            Ok(executed @ (Executed::Yes | Executed::Broken(_))) => {
                if let Executed::Broken(failed) = executed {
                    group.take_down(failed);
                }
                self.shared.faults.refuses(None);
                self.shared.wake_up.notify();
                group.leave(&mut self.recent);
                Self::acknowledge(&self.shared, &mut self.line, group, &reading, is_replicated).await
            }
            Ok(Executed::Overtaken) => {
                self.shared.metrics.conflict();
                Tried::Overtaken(group.into_overtaken(&reading))
            }
            Err(RedisError::Server(why)) => {
                let is_known = PASSING.iter().any(|code| why.starts_with(code));
                if !is_known {
                    self.shared.failed(&RedisError::Server(why.clone()));
                }
                self.shared.faults.refuses(Some(&why));
                let is_needed = why.starts_with(FULL) && group.endings().next().is_some();
                let script = if is_needed { burial::load(&mut self.line, &self.shared).await } else { None };
                let endings = script.map(|script| group.burials(&script, &reading)).unwrap_or_default();
                let buried = burial::carry_out(&mut self.line, &self.shared, endings).await;
                group.refuse(&buried, &reading);
                if !is_known {
                    // Perhaps another server is the right one now.
                    self.line.lose();
                }
                Tried::Done
            }
            Err(error @ (RedisError::Moved(_) | RedisError::TryAgain(_))) => {
                debug!(%error, "a transaction was not carried out");
                Tried::Elsewhere(group.into_overtaken(&reading))
            }
            Err(error @ (RedisError::Io(_) | RedisError::Misconfigured(_))) => {
                debug!(%error, "the outcome of a transaction is not known yet");
                Tried::Lost { jobs: group.into_attempts(), was_used }
            }
        }
    }

    /// Tells everybody, unless the run of the server is over that it was committed to.
    async fn acknowledge(
        shared: &Arc<Shared>,
        line: &mut Line,
        group: Group<'_>,
        reading: &Reading,
        is_replicated: bool,
    ) -> Tried {
        if is_replicated && !group.remember() {
            return Tried::Lost { jobs: group.into_attempts(), was_used: true };
        }
        let Unsettled { refused, carried_out } = group.answer(reading, is_replicated);
        if !carried_out.is_empty() {
            refused::count(shared, line, carried_out).await;
        }
        if !refused.is_empty() {
            refused::settle(shared, line, refused).await;
        }
        Tried::Done
    }
}

impl Again {
    /// Whether it must be found out first what became of it.
    fn is_unknown(&self) -> bool {
        self.jobs.iter().any(|job| job.attempt.is_some())
    }

    fn is_alone_with(&self, job: &Job) -> bool {
        self.tries > 0 && self.jobs.first().is_some_and(|first| first.commit.id == job.commit.id)
    }
}

/// Commands of the same session together, in their order.
fn by_session(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut sessions: Vec<Vec<Job>> = Vec::new();
    for job in jobs {
        match sessions.iter_mut().find(|others| others[0].commit.id == job.commit.id) {
            Some(others) => others.push(job),
            None => sessions.push(vec![job]),
        }
    }
    sessions
}
