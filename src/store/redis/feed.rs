//! Updates from Redis Pub/Sub: subscribes to the channels of watched sessions, hands on what is published
//! there, notices a connection that went silent, and makes good what was missed. Does not know clients.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::clock::Moment;
use crate::engine::SessionId;
use crate::redis::{LinkError, Subscriber};
use crate::store::metrics::Role;
use crate::store::random;
use crate::store::{Countdown, Snapshot, StoreError, Update};
use crate::wire::{self, Heard, Kept};

use super::Shared;
use super::jitter;
use super::reader::{self, Found, Lookup};

/// How long a connection may be silent before it is probed.
const QUIET_MAX: Duration = Duration::from_millis(800);
/// How long before it is given up: so that clients who miss something have the newest state within 2 s.
const SILENCE_MAX: Duration = Duration::from_millis(1_600);
/// How often that is looked at, and what nobody watches any more is let go.
const TICK: Duration = Duration::from_millis(100);
/// Sessions that are read again together.
const CATCH_UP_MAX: usize = 1_000;
/// How long a channel is kept that nobody watches any more.
const LINGER: Duration = Duration::from_secs(3);
/// How long to wait before a lost connection is made anew.
const RECONNECT_PAUSE_US: (u64, u64) = (20_000, 200_000);

/// What the feed is asked.
pub(super) enum Ask {
    /// Somebody watches a session; answered when the subscription stands.
    Watch(SessionId, oneshot::Sender<()>),
    /// Somebody does not any more.
    Unwatch(SessionId),
}

/// The channels of watched sessions.
pub(super) struct Feed {
    shared: Arc<Shared>,
    readers: Arc<[mpsc::Sender<Lookup>]>,
    inbox: mpsc::UnboundedReceiver<Ask>,
    topics: HashMap<SessionId, Topic>,
    probe: String,
    /// The run of the server that was heard last.
    run: Option<Arc<str>>,
    /// Updates are interrupted, and that was told.
    interrupted: bool,
}

#[derive(Debug)]
struct Topic {
    watchers: usize,
    unwatched_since: Option<Moment>,
}

impl Feed {
    pub(super) fn new(
        shared: Arc<Shared>,
        readers: Arc<[mpsc::Sender<Lookup>]>,
        inbox: mpsc::UnboundedReceiver<Ask>,
    ) -> Self {
        let probe = shared.keyspace.probe_channel(random::bits());
        Self { shared, readers, inbox, topics: HashMap::new(), probe, run: None, interrupted: false }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self) {
        loop {
            match self.connected().await {
                Ok(()) => return,
                Err(error) if self.run.is_none() => debug!(%error, "updates are not connected yet"),
                Err(error) if std::mem::replace(&mut self.interrupted, true) => debug!(%error, "still interrupted"),
                Err(error) => warn!(%error, "updates are interrupted"),
            }
            tokio::time::sleep(jitter::between_us(RECONNECT_PAUSE_US.0, RECONNECT_PAUSE_US.1)).await;
        }
    }

    /// Serves one connection; returns when nobody can ask any more.
    async fn connected(&mut self) -> Result<(), LinkError> {
        let mut subscriber = self.shared.subscribe().await?;
        let mut channels = vec![self.probe.clone()];
        channels.extend(self.topics.keys().map(|id| self.shared.keyspace.session_channel(*id)));
        for some in channels.chunks(1_000) {
            subscriber.subscribe(some).await?;
        }
        self.catch_up().await?;
        if std::mem::take(&mut self.interrupted) {
            self.shared.metrics.reconnected(Role::Updates);
            info!(sessions = self.topics.len(), "updates are connected again");
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut probed) = (self.shared.clock.moment(), false);
        loop {
            tokio::select! {
                // Who has ended a watch hears nothing that is committed after it.
                biased;
                ask = self.inbox.recv() => match ask {
                    Some(Ask::Watch(id, ready)) => self.watch(&mut subscriber, id, ready).await?,
                    Some(Ask::Unwatch(id)) => self.unwatch(id),
                    None => return Ok(()),
                },
                message = subscriber.next() => match message {
                    Some(message) => {
                        (heard, probed) = (self.shared.clock.moment(), false);
                        self.hand_on(message.get_channel_name(), message.get_payload_bytes());
                    }
                    None => return Err(LinkError::Lost("the connection for updates was closed".to_owned())),
                },
                _ = tick.tick() => {
                    if !subscriber.is_current() {
                        return Err(LinkError::Elsewhere("updates are published by another server now".to_owned()));
                    }
                    let silence = self.shared.clock.moment().since(heard);
                    if silence >= SILENCE_MAX {
                        return Err(LinkError::Lost("the connection for updates is silent".to_owned()));
                    }
                    if silence >= QUIET_MAX && !std::mem::replace(&mut probed, true) {
                        // Its answer is that it is heard.
                        let _ = self.readers[0].try_send(Lookup::Probe(self.probe.clone()));
                    }
                    self.tidy(&mut subscriber).await?;
                }
            }
        }
    }

    async fn watch(
        &mut self,
        subscriber: &mut Subscriber,
        id: SessionId,
        ready: oneshot::Sender<()>,
    ) -> Result<(), LinkError> {
        let is_new = !self.topics.contains_key(&id);
        let topic = self.topics.entry(id).or_insert(Topic { watchers: 0, unwatched_since: None });
        topic.watchers += 1;
        topic.unwatched_since = None;
        if is_new {
            let subscribed = subscriber.subscribe(&[self.shared.keyspace.session_channel(id)]).await;
            if subscribed.is_err() {
                self.unwatch(id);
                return subscribed;
            }
        }
        if ready.send(()).is_err() {
            self.unwatch(id);
        }
        Ok(())
    }

    fn unwatch(&mut self, id: SessionId) {
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.watchers = topic.watchers.saturating_sub(1);
            if topic.watchers == 0 {
                topic.unwatched_since = Some(self.shared.clock.moment());
            }
        }
    }

    /// Unsubscribes from what nobody has watched for a while.
    async fn tidy(&mut self, subscriber: &mut Subscriber) -> Result<(), LinkError> {
        let now = self.shared.clock.moment();
        let is_over = |topic: &Topic| topic.unwatched_since.is_some_and(|since| now.since(since) >= LINGER);
        let over: Vec<_> = self.topics.iter().filter(|(_, topic)| is_over(topic)).map(|(id, _)| *id).collect();
        if over.is_empty() {
            return Ok(());
        }
        let channels: Vec<_> = over.iter().map(|id| self.shared.keyspace.session_channel(*id)).collect();
        over.iter().for_each(|id| {
            self.topics.remove(id);
        });
        subscriber.unsubscribe(&channels).await
    }

    /// Reads every watched session again: what was published meanwhile is lost, but a state is whole. Another
    /// run of the server may have forgotten states, and then clients are told what is true now.
    async fn catch_up(&mut self) -> Result<(), LinkError> {
        let run = reader::ask(&self.readers, self.shared.patience(), Lookup::Run).await;
        let run = run.map_err(|_| LinkError::Lost("nobody says which run of the server this is".to_owned()))?;
        let is_other = self.run.as_ref().is_some_and(|before| *before != run);
        let ids: Vec<_> = self.topics.keys().copied().collect();
        for some in ids.chunks(CATCH_UP_MAX) {
            for (id, found) in self.find(some).await? {
                let now = found.now;
                let update = match found.kept {
                    Some((deadline, Kept::State(tag, members))) => {
                        let frame = wire::update(id, &members, now);
                        let countdown = Snapshot { tag, deadline, members }.countdown();
                        match is_other {
                            true => Update::Restored { tag, frame, countdown },
                            false => Update::State { tag, frame, countdown },
                        }
                    }
                    Some((_, Kept::Tombstone(tag))) => Update::Deleted { tag, frame: wire::deleted(id, now) },
                    None => continue,
                };
                self.shared.listener.update(id, &update);
            }
        }
        // Only now: whoever was interrupted in between has not told everybody.
        self.run = Some(run);
        Ok(())
    }

    async fn find(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Found)>, LinkError> {
        let begin = |&id| Some((id, reader::begin(&self.readers, |reply| Lookup::Kept(id, reply)).ok()?));
        let asked: Option<Vec<_>> = ids.iter().map(begin).collect();
        let away = || LinkError::Lost("watched sessions cannot be read".to_owned());
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

    fn hand_on(&self, channel: &str, payload: &[u8]) {
        let Some(id) = self.shared.keyspace.session_of_channel(channel) else { return };
        if self.topics.get(&id).is_none_or(|topic| topic.watchers == 0) {
            return;
        }
        let payload = Bytes::copy_from_slice(payload);
        // Anybody may publish anything.
        let is_text = std::str::from_utf8(&payload).is_ok();
        let update = match wire::heard(&payload).filter(|_| is_text) {
            Some(Heard::State(tag, frame)) => {
                let countdown = countdown(&frame);
                Update::State { tag, frame, countdown }
            }
            Some(Heard::Deleted(tag, frame)) => Update::Deleted { tag, frame },
            Some(Heard::Notice(message)) => Update::Notice(message),
            None => {
                debug!(session = %id, "something was published that is no message");
                return;
            }
        };
        self.shared.listener.update(id, &update);
        if let Some(published) = wire::published_at(&payload)
            && let Some(now_us) = self.shared.authority.estimate_us(self.shared.clock.moment())
        {
            self.shared.metrics.handed_on(published, now_us);
        }
    }
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
