//! What the subscriptions tell: messages as they are published, if they are to be believed, and what is stored when they are not
//! or were missed. Does not know connections.

use bytes::Bytes;
use tracing::{debug, warn};

use crate::engine::{Event, SessionId, Timestamp};
use crate::redis::RedisError;
use crate::store::metrics::Rejected;
use crate::store::redis::read::reader::{self, Lookup, StoredRecord};
use crate::store::{Countdown, Snapshot, StoreError, Update};
use crate::wire::{self, PubSubMessage, RecordBody};

use super::channel::{Belief, Channel};
use super::{FinishedRead, PendingRead, Subscriptions, TOGETHER_MAX, Why, lapses};

impl Subscriptions {
    /// Reads every watched session again: what was published meanwhile is lost, but a state is whole. Another
    /// run of the server may have forgotten states, and then clients are told what is true now.
    pub(super) async fn catch_up(&mut self) -> Result<(), RedisError> {
        let run = reader::ask(&self.readers, self.shared.patience(), Lookup::Run).await;
        let run = run.map_err(|_| RedisError::Io("nobody says which run of the server this is".to_owned()))?;
        let is_other = self.run.as_ref().is_some_and(|before| *before != run);
        let heard = self.watched.iter().filter(|(_, channel)| channel.is_heard);
        let ids: Vec<_> = heard.map(|(id, _)| *id).collect();
        for some in ids.chunks(TOGETHER_MAX) {
            for (id, found) in self.find(some).await? {
                self.catch(id, found, is_other);
            }
        }
        // What was being looked at is not any more.
        for id in ids {
            if let Some(channel) = self.watched.get_mut(&id) {
                self.lapses.expect_end(id, channel);
            }
        }
        // Only now: whoever was interrupted in between has not told everybody.
        self.run = Some(run);
        Ok(())
    }

    /// Tells of what is stored of a session, and of the clocks that ran out since it was heard of last.
    pub(super) fn catch(&mut self, id: SessionId, found: StoredRecord, is_other: bool) {
        let Some(channel) = self.watched.get_mut(&id) else { return };
        let (now, mut flags) = (found.now, Vec::new());
        let (update, was_misled, is_news) = match found.kept {
            Some((deadline, RecordBody::State(tag, members))) => {
                let snapshot = Snapshot { tag, deadline, members };
                let made = lapses::made(&self.shared.lifetimes, &snapshot.members, found.written_at);
                let (since, was_misled) = channel.read(tag, Some(made));
                self.lapses.expect_end(id, channel);
                if let Some(since) = since {
                    flags = self::flags(id, &snapshot, since, now);
                }
                let (frame, countdown) = (wire::update(id, &snapshot.members, now), snapshot.countdown());
                let update = match is_other {
                    true => Update::Resync { tag, frame, countdown },
                    false => Update::State { tag, frame, countdown },
                };
                (update, was_misled, channel.tell(tag, is_other))
            }
            Some((_, RecordBody::Tombstone(tag))) => {
                let (_, was_misled) = channel.read(tag, None);
                (Update::Deleted { tag, frame: wire::deleted(id, now) }, was_misled, channel.tell(tag, is_other))
            }
            None => return self.is_missing(id, now),
        };
        if was_misled {
            self.reject(id, "something was published that speaks of a state which is not there");
        }
        if !is_news {
            return;
        }
        self.shared.listener.update(id, &update);
        for flag in flags {
            self.shared.listener.update(id, &Update::Notice(flag));
        }
    }

    async fn find(&mut self, ids: &[SessionId]) -> Result<Vec<(SessionId, StoredRecord)>, RedisError> {
        let begin = |&id| Some((id, reader::begin(&self.readers, |reply| Lookup::RecordBody(id, reply)).ok()?));
        let asked: Option<Vec<_>> = ids.iter().map(begin).collect();
        let away = || RedisError::Io("watched sessions cannot be read".to_owned());
        let mut all = Vec::with_capacity(ids.len());
        for (id, answer) in asked.ok_or_else(away)? {
            match tokio::time::timeout(self.shared.patience(), answer).await {
                Ok(Ok(Ok(found))) => all.push((id, found)),
                // It cannot be read by anybody else either.
                Ok(Ok(Err(StoreError::Unreadable))) => {}
                Ok(Ok(Err(_)) | Err(_)) | Err(_) => return Err(away()),
            }
        }
        Ok(all)
    }

    /// Reads what is stored of one session.
    pub(super) fn look(&self, id: SessionId, why: Why) -> PendingRead {
        let answer = reader::begin(&self.readers, |reply| Lookup::RecordBody(id, reply));
        let patience = self.shared.patience();
        Box::pin(async move {
            let Ok(answer) = answer else { return FinishedRead { id, why, found: None } };
            let found = match tokio::time::timeout(patience, answer).await {
                Ok(Ok(Ok(found))) => Some(found),
                Ok(Ok(Err(_)) | Err(_)) | Err(_) => None,
            };
            FinishedRead { id, why, found }
        })
    }

    /// What is stored of a session was read, if it could be. Returns what must be read once more.
    pub(super) fn looked(&mut self, looked: FinishedRead) -> Option<PendingRead> {
        let FinishedRead { id, why, found } = looked;
        match (why, found) {
            (Why::Lifetime, found) => {
                self.is_looked_at(id, found);
                return None;
            }
            (Why::Doubt, Some(found)) => self.catch(id, found, false),
            (Why::Doubt, None) => {}
        }
        let again = self.watched.get_mut(&id).is_some_and(Channel::looked);
        again.then(|| self.look(id, Why::Doubt))
    }

    /// Hands on a message; returns its session when what is stored must be read first.
    pub(super) fn hand_on(&mut self, channel: &str, payload: &[u8]) -> Option<SessionId> {
        let id = self.shared.keyspace.session_of_channel(channel)?;
        let channel = self.watched.get_mut(&id)?;
        if !channel.is_watched() {
            channel.miss();
            return None;
        }
        let payload = Bytes::copy_from_slice(payload);
        if channel.is_heard {
            return self.tell(id, &payload);
        }
        channel.hold(payload);
        None
    }

    /// The same, when it is known what was stored before.
    pub(super) fn tell(&mut self, id: SessionId, payload: &Bytes) -> Option<SessionId> {
        let shared = &self.shared;
        let channel = self.watched.get_mut(&id)?;
        let update = match wire::read_pubsub_message(payload, id) {
            Some(PubSubMessage::State(tag, frame)) => {
                match channel.believe(tag, || shared.estimate()) {
                    Belief::Sure => {}
                    Belief::Old => return None,
                    Belief::Doubt => return channel.doubt(tag).then_some(id),
                }
                channel.heard(tag, Some(lapses::made(&shared.lifetimes, &frame, wire::published_at(payload))));
                self.lapses.expect_end(id, channel);
                let countdown = countdown(&frame);
                Update::State { tag, frame, countdown }
            }
            Some(PubSubMessage::Deleted(tag, frame)) => {
                match channel.believe(tag, || shared.estimate()) {
                    Belief::Sure => {}
                    Belief::Old => return None,
                    Belief::Doubt => return channel.doubt(tag).then_some(id),
                }
                channel.heard(tag, None);
                Update::Deleted { tag, frame }
            }
            // It is told with its state.
            Some(PubSubMessage::Notice(Some(tag), _)) if !channel.is_news_of(tag) => return None,
            Some(PubSubMessage::Notice(_, message)) => Update::Notice(message),
            None => {
                self.reject(id, "something was published that is no message");
                return None;
            }
        };
        self.shared.listener.update(id, &update);
        if let Some(published) = wire::published_at(payload)
            && let Some(now_us) = self.shared.server_clock.estimate_us(self.shared.clock.moment())
        {
            self.shared.metrics.handed_on(published, now_us);
        }
        None
    }

    fn reject(&self, id: SessionId, what: &str) {
        debug!(session = %id, "{what}");
        self.shared.metrics.rejected(Rejected::Message);
    }
}

/// What clients are told of clocks that ran out after `since`, as the state shows them.
fn flags(id: SessionId, snapshot: &Snapshot, since: Timestamp, now: Timestamp) -> Vec<Bytes> {
    let Ok(session) = snapshot.session() else { return Vec::new() };
    let flagged = session.participants.iter().filter_map(|one| Some((one.expired_at?, one.id)));
    let mut flagged: Vec<_> = flagged.filter(|(at, _)| *at > since).collect();
    flagged.sort_unstable();
    let event = |(at, participant)| Event::ParticipantExpired { participant, at };
    let events: Vec<_> = flagged.into_iter().map(event).collect();
    wire::expired(id, &events, now)
}

fn countdown(frame: &[u8]) -> Countdown {
    if !wire::has_warnings(frame) {
        return Countdown::default();
    }
    match wire::decode_frame(frame) {
        Ok(session) => Countdown::of(&session),
        Err(error) => {
            warn!(%error, "a published state cannot be read: its warnings are lost");
            Countdown::default()
        }
    }
}
