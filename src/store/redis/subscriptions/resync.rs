//! Resync: reads what is stored of watched sessions again after an interruption, in doubt, or when a lifetime should be
//! over, and sends subscribers what they missed. Does not know connections.

use bytes::Bytes;

use crate::engine::{Event, Millis, SessionId, Timestamp};
use crate::redis::RedisError;
use crate::runtime::time;
use crate::store::redis::read::{Lookup, StoredRecord};
use crate::store::{Snapshot, StoreError, Update};
use crate::wire::{self, RecordBody};

use super::channel::Channel;
use super::lapses;
use super::pending_read::{FinishedRead, PendingRead, ReadCause};
use super::watched_sessions::{TOGETHER_MAX, WatchedSessions};

/// Sessions that are looked at together at most.
const LOOKS_MAX: usize = 256;
/// How soon one is looked at again that is still there, at least and at most: as long again as it is overdue.
const PAUSE: (Millis, Millis) = (Millis::new(250), Millis::new(30_000));

impl WatchedSessions {
    /// Reads every watched session again: what was published meanwhile is lost, but a state is whole. Another
    /// run of the server may have lost states, and then clients get a resync.
    pub(super) async fn catch_up(&mut self) -> Result<(), RedisError> {
        let run = self.readers.ask(Lookup::Run).await;
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
        // Only now: an interruption in between leaves subscribers without an update.
        self.run = Some(run);
        Ok(())
    }

    /// Sends subscribers what is stored of a session, and the flags since its last update.
    pub(super) fn catch(&mut self, id: SessionId, found: StoredRecord, is_other: bool) {
        let Some(channel) = self.watched.get_mut(&id) else { return };
        let (now, mut flags) = (found.now, Vec::new());
        let (update, was_misled, is_news) = match found.kept {
            Some((deadline, RecordBody::State(tag, body))) => {
                let snapshot = Snapshot { tag, deadline, body };
                let made = lapses::made(&self.lifetimes, &snapshot.body, found.written_at);
                let (since, was_misled) = channel.read(tag, Some(made));
                self.lapses.expect_end(id, channel);
                if let Some(since) = since {
                    flags = self::flags(id, &snapshot, since, now);
                }
                let (frame, countdown) = (wire::update(id, &snapshot.body, now), snapshot.countdown());
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
        self.listener.update(id, &update);
        for flag in flags {
            self.listener.update(id, &Update::Notice(flag));
        }
    }

    async fn find(&mut self, ids: &[SessionId]) -> Result<Vec<(SessionId, StoredRecord)>, RedisError> {
        let begin = |&id| Some((id, self.readers.begin(|reply| Lookup::RecordBody(id, reply)).ok()?));
        let asked: Option<Vec<_>> = ids.iter().map(begin).collect();
        let away = || RedisError::Io("watched sessions cannot be read".to_owned());
        let mut all = Vec::with_capacity(ids.len());
        for (id, answer) in asked.ok_or_else(away)? {
            match time::timeout(self.readers.patience(), answer).await {
                Ok(Ok(Ok(found))) => all.push((id, found)),
                // Other instances cannot read it either.
                Ok(Ok(Err(StoreError::Unreadable))) => {}
                Ok(Ok(Err(_)) | Err(_)) | Err(_) => return Err(away()),
            }
        }
        Ok(all)
    }

    /// Reads what is stored of one session.
    pub(super) fn look(&self, id: SessionId, cause: ReadCause) -> PendingRead {
        let answer = self.readers.begin(|reply| Lookup::RecordBody(id, reply));
        let patience = self.readers.patience();
        Box::pin(async move {
            let Ok(answer) = answer else { return FinishedRead { id, cause, found: None } };
            let found = match time::timeout(patience, answer).await {
                Ok(Ok(Ok(found))) => Some(found),
                Ok(Ok(Err(_)) | Err(_)) | Err(_) => None,
            };
            FinishedRead { id, cause, found }
        })
    }

    /// What is stored of a session was read, if it could be. Returns what must be read once more.
    pub(super) fn looked(&mut self, looked: FinishedRead) -> Option<PendingRead> {
        let FinishedRead { id, cause, found } = looked;
        match (cause, found) {
            (ReadCause::Lifetime, found) => {
                self.is_looked_at(id, found);
                return None;
            }
            (ReadCause::Doubt, Some(found)) => self.catch(id, found, false),
            (ReadCause::Doubt, None) => {}
        }
        let again = self.watched.get_mut(&id).is_some_and(Channel::looked);
        again.then(|| self.look(id, ReadCause::Doubt))
    }

    /// Looks at watched sessions whose lifetime should be over.
    pub(super) fn look_at_lapsed(&mut self) -> Vec<PendingRead> {
        let (now, mut looks) = (self.now(), Vec::new());
        while looks.len() < LOOKS_MAX
            && let Some(id) = self.lapses.due(now)
        {
            let Some(channel) = self.watched.get_mut(&id) else { continue };
            channel.look_at = None;
            match channel.kept_until() {
                Some(until) if until > now => self.lapses.expect(id, channel, until),
                // The next subscriber reads it anew.
                Some(_) if !channel.is_watched() => channel.miss(),
                Some(_) => looks.push(self.look(id, ReadCause::Lifetime)),
                None => {}
            }
        }
        looks
    }

    /// A session whose lifetime should be over was looked at, if that could be done.
    pub(super) fn is_looked_at(&mut self, id: SessionId, found: Option<StoredRecord>) {
        let Some(channel) = self.watched.get_mut(&id) else { return };
        if let Some(found) = found {
            let is_known = match &found.kept {
                Some((_, RecordBody::State(tag, body))) => {
                    channel.is_kept(*tag, lapses::made(&self.lifetimes, body, found.written_at))
                }
                Some((_, RecordBody::Tombstone(_))) | None => false,
            };
            if !is_known {
                self.catch(id, found, false);
            }
        }
        let (now, channel) = (self.now(), self.watched.get_mut(&id));
        if let Some((until, channel)) = channel.and_then(|channel| Some((channel.kept_until()?, channel))) {
            // Another instance may keep it for longer than this one would.
            let pause = now.since(until).clamp(PAUSE.0, PAUSE.1);
            self.lapses.expect(id, channel, until.max(now + pause));
        }
    }

    /// Nothing is stored of a session: subscribers of one that has outlived its lifetime get its end. One that is gone
    /// before, since Redis was emptied, may come back, and ends for them when its lifetime is over.
    pub(super) fn is_missing(&mut self, id: SessionId, now: Timestamp) {
        let end = self.watched.get_mut(&id).and_then(|channel| channel.lapses(now));
        if let Some(tag) = end {
            self.listener.update(id, &Update::Deleted { tag, frame: wire::lapsed(id, now) });
        }
    }
}

/// The notices of clocks that ran out after `since`, as the state shows them.
fn flags(id: SessionId, snapshot: &Snapshot, since: Timestamp, now: Timestamp) -> Vec<Bytes> {
    let Ok(session) = snapshot.session() else { return Vec::new() };
    let flagged = session.participants.iter().filter_map(|one| Some((one.expired_at?, one.id)));
    let mut flagged: Vec<_> = flagged.filter(|(at, _)| *at > since).collect();
    flagged.sort_unstable();
    let event = |(at, participant)| Event::ParticipantExpired { participant, at };
    let events: Vec<_> = flagged.into_iter().map(event).collect();
    wire::expired(id, &events, now)
}
