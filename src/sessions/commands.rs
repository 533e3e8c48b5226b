//! Commands: commits the engine's decision on a session, and asks the archive when the store does not know the session.
//! Does not know how a decision is made.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::engine::{Command, NewSession, Outcome, Refusal, SessionId};
use crate::store::{Arrival, CommandOrigin, Commit, CommitOutcome, DecisionContext, RateLimit, StoreError};

use super::recovery::{ArchiveLookup, LookupPurpose};
use super::reply::{Applied, CommandReply, Failure};
use super::request::CommandRequest;
use super::{Sessions, decide};

impl Sessions {
    /// Creates a session.
    pub async fn create(&self, arrival: Arrival, new: NewSession) -> Result<Applied, Failure> {
        self.create_by(CommandOrigin::default(), arrival, new).await.result
    }

    /// Creates a session for somebody.
    pub async fn create_by(&self, origin: CommandOrigin, arrival: Arrival, new: NewSession) -> CommandReply {
        let id = new.id;
        if new.controls.is_some() && !self.inner.store.keeps_time_controls() {
            return CommandReply::of(id, Err(StoreError::TooNew));
        }
        let decide = Box::new(move |current: DecisionContext<'_>| decide::create(&new, &current));
        self.commit(Commit { id, arrival: Some(arrival), rate: None, participant: None, client: None, origin, decide })
            .await
    }

    /// Applies a command.
    pub async fn change(&self, id: SessionId, arrival: Arrival, request: CommandRequest) -> CommandReply {
        let rate = match request.command {
            Command::Switch { .. } => self.inner.switch_limit,
            Command::Settle
            | Command::Start
            | Command::Pause
            | Command::Resume
            | Command::Complete
            | Command::Cancel
            | Command::Patch(_)
            | Command::Delete => None,
        };
        if self.inner.recovery.is_none() {
            return self.ask(id, Some(arrival), rate, request).await;
        }
        let (participant, client, origin) = (request.participant, request.client, request.origin.clone());
        // It is applied again if the store knows nothing of the session.
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        let decide = move |current: DecisionContext<'_>| match current.is_unreadable {
            // The archive is asked before it is deleted.
            true => decide::nothing(Err(Refusal::NotFound)),
            false => decide::change(id, &asked, &current),
        };
        let commit = Commit { id, arrival: Some(arrival), rate, participant, client, origin, decide: Box::new(decide) };
        let outcome = self.inner.store.commit(commit).await;
        let is_missing = is_unknown(&outcome) || matches!(outcome, Err(StoreError::Unreadable));
        let reply = CommandReply::of(id, outcome);
        if !is_missing {
            return reply;
        }
        match self.look_up(id, LookupPurpose::Change).await {
            Ok(ArchiveLookup::Recovered) => {
                // What was refused gave its count back.
                self.ask(id, Some(self.arrive(id)), rate, request).await
            }
            // Bytes that are no state, of a session that the archive does not have either, are deleted.
            Ok(_) if reply.is_unreadable() && matches!(request.command, Command::Delete) => {
                let again = self.ask(id, Some(self.arrive(id)), None, request).await;
                CommandReply { quota: reply.quota, ..again }
            }
            Ok(ArchiveLookup::Absent | ArchiveLookup::Over(_)) => reply,
            Err(failure) => CommandReply { result: Err(failure), ..reply },
        }
    }

    /// Stores what time has done to a session.
    pub async fn settle(&self, id: SessionId) -> Result<Applied, Failure> {
        self.ask(id, None, None, CommandRequest::from(Command::Settle)).await.result
    }

    /// Settles a session whose deadline has passed. One that the store dropped before it was settled is recovered first; one
    /// that cannot be looked up yet stays due.
    pub async fn fire(&self, id: SessionId) -> Result<Applied, Failure> {
        if self.inner.recovery.is_none() {
            return self.settle(id).await;
        }
        let request = CommandRequest::from(Command::Settle);
        let decide = move |current: DecisionContext<'_>| {
            // Of a session that was deleted the next epoch is known. A session that is unknown stays due.
            match current.record.is_none() && current.epoch == 0 {
                true => decide::nothing(Ok(Outcome::default())),
                false => decide::change(id, &request, &current),
            }
        };
        let (origin, decide) = (CommandOrigin::default(), Box::new(decide));
        let commit = Commit { id, arrival: None, rate: None, participant: None, client: None, origin, decide };
        let outcome = self.inner.store.commit(commit).await;
        if is_unknown(&outcome) {
            self.look_up(id, LookupPurpose::Fire).await?;
            // What the archive does not have either is not due any more.
            return self.settle(id).await;
        }
        CommandReply::of(id, outcome).result
    }

    async fn ask(
        &self,
        id: SessionId,
        arrival: Option<Arrival>,
        rate: Option<RateLimit>,
        request: impl Borrow<CommandRequest> + Send + 'static,
    ) -> CommandReply {
        let CommandRequest { participant, client, ref origin, .. } = *request.borrow();
        let origin = origin.clone();
        let decide = move |current: DecisionContext<'_>| decide::change(id, request.borrow(), &current);
        self.commit(Commit { id, arrival, rate, participant, client, origin, decide: Box::new(decide) }).await
    }

    async fn commit(&self, commit: Commit) -> CommandReply {
        let id = commit.id;
        CommandReply::of(id, self.inner.store.commit(commit).await)
    }
}

/// Whether the store knows nothing of the session that a decision was made on: the archive may.
fn is_unknown(outcome: &Result<CommitOutcome, StoreError>) -> bool {
    matches!(outcome, Ok(CommitOutcome::Decided(committed)) if committed.is_unknown())
}
