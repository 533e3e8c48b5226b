//! Refused commits with a limit: each gives its hit back, so that the limit is left to others, and counts against its
//! client. Does not know why it was refused.
//!
//! A client that was refused too often is a suspect: its next command is counted when it is carried out and not before,
//! so that commands on their way take nothing from others. Further refusals are answered as rate limited.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::client::ClientId;
use crate::clock::Moment;
use crate::redis::{Keyspace, Pipeline};
use crate::store::contract::SwitchCounter;
use crate::store::metrics::Operation;
use crate::store::redis::connection::LazyConnection;
use crate::store::redis::limits;
use crate::store::{Commit, CommitOutcome, Committed, REFUSALS, RateLimit, RateLimitStatus, StoreError};

use super::refusal_counter::RefusalCounter;

/// A window that ends sooner is left as it is: it could be over when the count gets there.
const LEFT_MIN: Duration = Duration::from_millis(50);

/// A commit that has a limit of its own and was refused.
pub(super) struct RefusedCommit {
    counter: SwitchCounter,
    rate: RateLimit,
    client: Option<ClientId>,
    /// When the window ends that it was counted in; `None` when it was not counted.
    window: Option<Moment>,
    outcome: CommitOutcome,
    reply: oneshot::Sender<Result<CommitOutcome, StoreError>>,
}

impl RefusedCommit {
    /// What is still to be settled of a refused commit; one without a limit is answered at once.
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
            Some(rate) => Some(Self { counter: commit.counter(), rate, client: commit.client, window, outcome, reply }),
            None => {
                // A sender that does not wait any more was answered that the outcome is unknown.
                let _ = reply.send(Ok(outcome));
                None
            }
        }
    }

    /// Whether it was judged, and not rate limited.
    fn is_judged(&self) -> bool {
        matches!(self.outcome, CommitOutcome::Decided(_))
    }

    fn answer(self, too_many: Option<RateLimitStatus>) {
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

/// Counts refusals, and answers them. A refusal that cannot be counted is answered as it is.
pub(in crate::store::redis) async fn settle(
    counter: &RefusalCounter,
    connection: &mut LazyConnection,
    refused: Vec<RefusedCommit>,
) {
    let (keyspace, now) = (counter.keyspace(), connection.connector().server_clock().moment());
    let (mut commands, mut given_back) = (Pipeline::new(), Vec::<(SwitchCounter, RateLimit, usize)>::new());
    let is_given_back = |one: &&RefusedCommit| one.window.is_some_and(|ends| ends.since(now) > LEFT_MIN);
    for one in refused.iter().filter(is_given_back) {
        match given_back.iter_mut().find(|(counter, ..)| *counter == one.counter) {
            Some((.., hits)) => *hits += 1,
            None => given_back.push((one.counter, one.rate, 1)),
        }
    }
    for (SwitchCounter { id, participant }, rate, hits) in &given_back {
        limits::give_back(&mut commands, &keyspace.switch_limit(*id, *participant), *hits, *rate);
    }
    let (mut counted, mut others) = (Vec::new(), Vec::new());
    for one in refused {
        match one.client.filter(|_| one.is_judged()) {
            Some(client) => match counter.exceeded(one.counter.id, Some(client)) {
                Some(quota) => {
                    others.push((one, Some(RateLimitStatus { hits: quota.hits.saturating_add(1), ..quota })))
                }
                None => {
                    limits::count(&mut commands, &keyspace.refused_limit(one.counter.id, client), REFUSALS);
                    counted.push((one, client));
                }
            },
            None => others.push((one, None)),
        }
    }
    let asked = match commands.is_empty() {
        false => connection.ask(Operation::Load, &commands).await.map(|asked| asked.replies).unwrap_or_default(),
        true => Vec::new(),
    };
    let mut replies = asked.into_iter().skip(given_back.len() * limits::REPLIES);
    for (one, client) in counted {
        let quota = counter.learn(&mut replies, (one.counter.id, client));
        one.answer(quota.filter(RateLimitStatus::is_exceeded));
    }
    for (one, too_many) in others {
        one.answer(too_many);
    }
}

/// Counts the carried out commands of suspects; no answer waits for it.
pub(in crate::store::redis) async fn count(
    keyspace: &Keyspace,
    connection: &mut LazyConnection,
    carried_out: Vec<(SwitchCounter, RateLimit)>,
) {
    let mut commands = Pipeline::new();
    for (SwitchCounter { id, participant }, rate) in carried_out {
        limits::count(&mut commands, &keyspace.switch_limit(id, participant), rate);
    }
    // A limit that cannot be counted lets commands through.
    let _ = connection.ask(Operation::Load, &commands).await;
}
