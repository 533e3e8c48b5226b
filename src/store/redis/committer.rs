//! A committer: owns one connection and commits one group of commands at a time, in two round trips.
//!
//!     1  counters of rate limits   UNWATCH   WATCH keys   MGET keys   TIME
//!        decide each command in order of arrival; commands on one session build on each other
//!     2  MULTI   per change: PUBLISHes   per session: SETEX state, ZADD or ZREM deadline   EXEC
//!
//! Knows how a group stands or falls; does not know what a command is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, warn};

use crate::clock::Moment;
use crate::engine::Uuid;
use crate::redis::{Link, LinkError};
use crate::store::{Commit, Committed, Quota, Record, StoreError, Verdict};

use super::Shared;
use super::group::{Decided, Group};
use super::jitter;
use super::replies::{self, Executed};

/// Commands that are committed together at most.
const GROUP_MAX: usize = 128;
/// How often a session that others keep changing is tried again.
const TRIES_MAX: u32 = 8;
/// How long a lost connection is left alone before it is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// A command on its way.
pub(super) struct Job {
    pub(super) commit: Commit,
    /// Names the change over all its tries.
    pub(super) event: Uuid,
    /// When its sender stops waiting.
    pub(super) expires: Moment,
    /// Where its own limit stands; counted once, however often it is tried.
    pub(super) quota: Option<Quota>,
    /// What it was about to come to when the connection was lost: perhaps it has.
    pub(super) attempt: Option<(Option<Arc<Record>>, Verdict)>,
    pub(super) reply: oneshot::Sender<Result<Committed, StoreError>>,
}

/// Commits groups of commands, one after the other.
pub(super) struct Committer {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Job>,
    link: Option<Link>,
    /// Commands that must wait for others that arrived before a deadline.
    deferred: Vec<Job>,
}

/// What became of a try.
enum Tried {
    /// Everybody was answered.
    Done,
    /// Another instance was faster.
    Overtaken(Vec<Job>),
    /// The connection is lost; whose outcome is not known has an attempt.
    Lost(Vec<Job>),
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Job>) -> Self {
        Self { shared, inbox, link: None, deferred: Vec::new() }
    }

    /// Runs until nobody can send commands any more.
    pub(super) async fn run(mut self) {
        while let Some(jobs) = self.next_group().await {
            self.commit(jobs, 0).await;
        }
    }

    async fn next_group(&mut self) -> Option<Vec<Job>> {
        let mut jobs = std::mem::take(&mut self.deferred);
        if jobs.is_empty() {
            jobs.push(self.inbox.recv().await?);
        } else {
            tokio::time::sleep(jitter::between_us(200, 1_000)).await;
        }
        while jobs.len() < GROUP_MAX {
            match self.inbox.try_recv() {
                Ok(job) => jobs.push(job),
                Err(_) => break,
            }
        }
        Some(jobs)
    }

    /// Tries until everybody is answered.
    async fn commit(&mut self, mut jobs: Vec<Job>, mut tries: u32) {
        loop {
            let now = self.shared.clock.moment();
            let (late, waiting): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.expires <= now);
            late.into_iter().for_each(Job::give_up);
            if waiting.is_empty() {
                return;
            }
            match self.attempt(waiting).await {
                Tried::Done => return,
                Tried::Lost(left) => {
                    self.link = None;
                    // Nothing was sent of those that have no attempt.
                    let (unknown, untouched): (Vec<_>, Vec<_>) =
                        left.into_iter().partition(|job| job.attempt.is_some());
                    untouched.into_iter().for_each(Job::give_up);
                    jobs = unknown;
                    if !jobs.is_empty() {
                        tokio::time::sleep(RECONNECT_PAUSE).await;
                    }
                }
                Tried::Overtaken(left) => {
                    tries += 1;
                    let mut sessions = by_session(left);
                    if sessions.len() > 1 {
                        for alone in sessions {
                            Box::pin(self.commit(alone, tries)).await;
                        }
                        return;
                    }
                    jobs = sessions.pop().unwrap_or_default();
                    if tries > TRIES_MAX {
                        jobs.into_iter().for_each(Job::lose);
                        return;
                    }
                    tokio::time::sleep(jitter::between_us(200, 10_000)).await;
                }
            }
        }
    }

    async fn attempt(&mut self, jobs: Vec<Job>) -> Tried {
        let link = match &mut self.link {
            Some(link) => link,
            None => match self.shared.connect().await {
                Ok(link) => self.link.insert(link),
                Err(_) => return Tried::Lost(jobs),
            },
        };
        let mut group = Group::new(&self.shared, link.run_id(), jobs);
        let sent = self.shared.clock.moment();
        let reading = match link.ask(&group.load()).await.and_then(|replies| group.loaded(replies, sent)) {
            Ok(reading) => reading,
            Err(error) => {
                debug!(%error, "cannot load sessions");
                return Tried::Lost(group.into_jobs());
            }
        };
        let Decided { transaction, deferred } = group.decide(&reading);
        self.deferred.extend(deferred);
        let Some(transaction) = transaction else {
            group.answer(&reading);
            return Tried::Done;
        };
        match link.ask(&transaction).await.and_then(replies::executed) {
            Ok(Executed::Yes) => {
                group.answer(&reading);
                Tried::Done
            }
            Ok(Executed::Overtaken) => Tried::Overtaken(group.into_jobs()),
            Ok(Executed::Broken(why)) => {
                error!(why, "Redis executed a transaction in part: the server is not ready any more");
                self.shared.broken.store(true, Ordering::Relaxed);
                group.into_jobs().into_iter().for_each(|job| job.fail(StoreError::Broken));
                Tried::Done
            }
            Err(LinkError::Refused(why)) => {
                warn!(why, "Redis refused a transaction");
                let error = StoreError::Unavailable("the store refuses changes");
                group.into_jobs().into_iter().for_each(|job| job.fail(error.clone()));
                Tried::Done
            }
            Err(error @ LinkError::Lost(_)) => {
                warn!(%error, "the outcome of a transaction is not known yet");
                Tried::Lost(group.into_attempts())
            }
        }
    }
}

impl Job {
    /// The store does not answer, or not in time.
    fn give_up(self) {
        let is_unknown = self.attempt.is_some();
        let away = StoreError::Unavailable("the store does not answer");
        self.fail(if is_unknown { StoreError::UnknownOutcome } else { away });
    }

    /// Others keep changing the session.
    fn lose(self) {
        self.fail(StoreError::Unavailable("the session is changed by others all the time"));
    }

    fn fail(self, error: StoreError) {
        // Whoever does not wait any more has been told that the outcome is unknown.
        let _ = self.reply.send(Err(error));
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
