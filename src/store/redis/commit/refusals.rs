//! Commands with a limit that were refused: they give their count back, so that the limit is left to others, and count
//! against whoever asked. Does not know why they were refused.
//!
//! Whoever was refused too often is a suspect: it is counted when its command is carried out, not before, so that what is
//! on its way takes nothing from others. What it is refused further is said to be too much.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::client_address::ClientAddress;
use crate::clock::Moment;
use crate::engine::SessionId;
use crate::redis::{Pipeline, resp::Value};
use crate::store::metrics::Operation;
use crate::store::redis::connection::lazy_connection::LazyConnection;
use crate::store::redis::connection::limits;
use crate::store::redis::shard_context::ShardContext;
use crate::store::{Commit, CommitOutcome, Committed, REFUSALS, RateLimit, RateLimitStatus, StoreError};

/// A window that ends sooner is left as it is: it could be over when the count gets there.
const LEFT_MIN: Duration = Duration::from_millis(50);

/// A command that has a limit of its own and was refused.
pub(super) struct RefusedCommit {
    id: SessionId,
    rate: RateLimit,
    client: Option<ClientAddress>,
    /// When the window ends that it was counted in; `None` when it was not counted.
    window: Option<Moment>,
    outcome: CommitOutcome,
    reply: oneshot::Sender<Result<CommitOutcome, StoreError>>,
}

/// Whether it was refused too often already who asks.
pub(in crate::store::redis) fn is_suspect(shared: &ShardContext, commit: &Commit) -> bool {
    standing(shared, commit.id, commit.client).is_some()
}

fn standing(shared: &ShardContext, id: SessionId, client: Option<ClientAddress>) -> Option<RateLimitStatus> {
    shared.refusals.reached(&(id, client?), REFUSALS, shared.clock.now())
}

impl RefusedCommit {
    /// What is still to be settled of a command; whose has no limit is told at once.
    pub(in crate::store::redis) fn of(
        commit: &Commit,
        window: Option<Moment>,
        outcome: CommitOutcome,
        reply: oneshot::Sender<Result<CommitOutcome, StoreError>>,
    ) -> Option<Self> {
        let is_counted = match &outcome {
            CommitOutcome::RateLimited(_) => true,
            CommitOutcome::Decided(committed) => committed.quota.is_some(),
        };
        match commit.rate.filter(|_| is_counted) {
            Some(rate) => Some(Self { id: commit.id, rate, client: commit.client, window, outcome, reply }),
            None => {
                // A sender that does not wait any more was answered that the outcome is unknown.
                let _ = reply.send(Ok(outcome));
                None
            }
        }
    }

    /// Whether it was judged, and not only one too many.
    fn is_judged(&self) -> bool {
        matches!(self.outcome, CommitOutcome::Decided(_))
    }

    fn tell(self, too_many: Option<RateLimitStatus>) {
        let outcome = match (self.outcome, too_many) {
            (CommitOutcome::Decided(_), Some(quota)) => CommitOutcome::RateLimited(quota),
            (CommitOutcome::Decided(committed), None) if self.window.is_some() => {
                let quota = committed.quota.map(RateLimitStatus::given_back);
                CommitOutcome::Decided(Committed { quota, ..committed })
            }
            (outcome, _) => outcome,
        };
        let _ = self.reply.send(Ok(outcome));
    }
}

/// Counts what was refused, and tells everybody. What cannot be counted is told as it is.
pub(in crate::store::redis) async fn settle(
    shared: &Arc<ShardContext>,
    connection: &mut LazyConnection,
    refused: Vec<RefusedCommit>,
) {
    let now = shared.clock.moment();
    let (mut commands, mut given_back) = (Pipeline::new(), Vec::<(SessionId, RateLimit, usize)>::new());
    let is_given_back = |one: &&RefusedCommit| one.window.is_some_and(|ends| ends.since(now) > LEFT_MIN);
    for one in refused.iter().filter(is_given_back) {
        match given_back.iter_mut().find(|(id, ..)| *id == one.id) {
            Some((.., hits)) => *hits += 1,
            None => given_back.push((one.id, one.rate, 1)),
        }
    }
    for (id, rate, hits) in &given_back {
        limits::give_back(&mut commands, &shared.keyspace.switch_limit(*id), *hits, *rate);
    }
    let (mut counted, mut others) = (Vec::new(), Vec::new());
    for one in refused {
        match one.client.filter(|_| one.is_judged()) {
            Some(client) => match standing(shared, one.id, Some(client)) {
                Some(quota) => {
                    others.push((one, Some(RateLimitStatus { hits: quota.hits.saturating_add(1), ..quota })))
                }
                None => {
                    limits::count(&mut commands, &shared.keyspace.refused_limit(one.id, client), REFUSALS);
                    counted.push((one, client));
                }
            },
            None => others.push((one, None)),
        }
    }
    let asked = match commands.is_empty() {
        false => {
            connection.ask(shared, Operation::Load, &commands).await.map(|asked| asked.replies).unwrap_or_default()
        }
        true => Vec::new(),
    };
    let mut replies = asked.into_iter().skip(given_back.len() * limits::REPLIES);
    for (one, client) in counted {
        let quota = learn(shared, &mut replies, (one.id, client));
        one.tell(quota.filter(RateLimitStatus::is_exceeded));
    }
    for (one, too_many) in others {
        one.tell(too_many);
    }
}

fn learn(
    shared: &ShardContext,
    replies: &mut impl Iterator<Item = Value>,
    key: (SessionId, ClientAddress),
) -> Option<RateLimitStatus> {
    let quota = limits::counted(replies, REFUSALS).ok()?.quota;
    shared.refusals.learn(key, quota, shared.clock.now());
    Some(quota)
}

/// Counts what suspects had carried out; nobody waits for it.
pub(in crate::store::redis) async fn count(
    shared: &Arc<ShardContext>,
    connection: &mut LazyConnection,
    carried_out: Vec<(SessionId, RateLimit)>,
) {
    let mut commands = Pipeline::new();
    for (id, rate) in carried_out {
        limits::count(&mut commands, &shared.keyspace.switch_limit(id), rate);
    }
    // What cannot be counted lets through.
    let _ = connection.ask(shared, Operation::Load, &commands).await;
}
