//! Updates from Redis Pub/Sub: subscribes to the channels of watched sessions, hands on what is published
//! there, notices a connection that went silent, and makes good what was missed. Does not know clients.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use redis::aio::PubSubSink;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::clock::Moment;
use crate::engine::SessionId;
use crate::redis::LinkError;
use crate::store::{Countdown, Update};
use crate::wire::{self, Heard};

use super::Shared;
use super::jitter;
use super::reader::{self, Lookup};

/// How long a connection may be silent before it is probed, and then before it is given up.
const SILENCE_MAX: Duration = Duration::from_secs(1);
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
        let probe = shared.keyspace.probe_channel(jitter::bits());
        Self { shared, readers, inbox, topics: HashMap::new(), probe }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self) {
        loop {
            match self.connected().await {
                Ok(()) => return,
                Err(error) => warn!(%error, "updates are interrupted"),
            }
            tokio::time::sleep(jitter::between_us(RECONNECT_PAUSE_US.0, RECONNECT_PAUSE_US.1)).await;
        }
    }

    /// Serves one connection; returns when nobody can ask any more.
    async fn connected(&mut self) -> Result<(), LinkError> {
        let (mut sink, mut stream) = self.shared.server.subscribe().await?.split();
        let mut channels = vec![self.probe.clone()];
        channels.extend(self.topics.keys().map(|id| self.shared.keyspace.session_channel(*id)));
        for some in channels.chunks(1_000) {
            subscribe(&mut sink, some).await?;
        }
        self.catch_up().await;
        if self.topics.is_empty() {
            info!("updates are connected");
        }
        let mut tick = tokio::time::interval(SILENCE_MAX);
        let (mut heard, mut probed) = (true, false);
        loop {
            tokio::select! {
                // Who has ended a watch hears nothing that is committed after it.
                biased;
                ask = self.inbox.recv() => match ask {
                    Some(Ask::Watch(id, ready)) => self.watch(&mut sink, id, ready).await?,
                    Some(Ask::Unwatch(id)) => self.unwatch(id),
                    None => return Ok(()),
                },
                message = stream.next() => match message {
                    Some(message) => {
                        (heard, probed) = (true, false);
                        self.hand_on(message.get_channel_name(), message.get_payload_bytes());
                    }
                    None => return Err(LinkError::Lost("the connection for updates was closed".to_owned())),
                },
                _ = tick.tick() => {
                    if !std::mem::take(&mut heard) {
                        if std::mem::replace(&mut probed, true) {
                            return Err(LinkError::Lost("the connection for updates is silent".to_owned()));
                        }
                        let probe = self.probe.clone();
                        // Its answer is that it is heard.
                        let _ = self.readers[0].try_send(Lookup::Probe(probe));
                    }
                    self.tidy(&mut sink).await?;
                }
            }
        }
    }

    async fn watch(
        &mut self,
        sink: &mut PubSubSink,
        id: SessionId,
        ready: oneshot::Sender<()>,
    ) -> Result<(), LinkError> {
        let is_new = !self.topics.contains_key(&id);
        let topic = self.topics.entry(id).or_insert(Topic { watchers: 0, unwatched_since: None });
        topic.watchers += 1;
        topic.unwatched_since = None;
        if is_new {
            subscribe(sink, &[self.shared.keyspace.session_channel(id)]).await?;
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
    async fn tidy(&mut self, sink: &mut PubSubSink) -> Result<(), LinkError> {
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
        in_time(sink.unsubscribe(&channels)).await
    }

    /// Reads every watched session again: what was published meanwhile is lost, but a state is whole.
    async fn catch_up(&self) {
        for id in self.topics.keys() {
            if let Ok(read) = reader::ask(&self.readers, |reply| Lookup::State(*id, reply)).await
                && let Some(snapshot) = read.snapshot
            {
                let frame = wire::update(*id, &snapshot.members, read.now);
                let countdown = snapshot.countdown();
                self.shared.listener.update(*id, &Update::State { tag: snapshot.tag, frame, countdown });
            }
        }
    }

    fn hand_on(&self, channel: &str, payload: &[u8]) {
        let Some(id) = self.shared.keyspace.session_of_channel(channel) else { return };
        if self.topics.get(&id).is_none_or(|topic| topic.watchers == 0) {
            return;
        }
        let update = match wire::heard(&Bytes::copy_from_slice(payload)) {
            Some(Heard::State(tag, frame)) => {
                let countdown = countdown(&frame);
                Update::State { tag, frame, countdown }
            }
            Some(Heard::Deleted(tag, frame)) => Update::Deleted { tag, frame },
            Some(Heard::Notice(message)) => Update::Notice(message),
            None => {
                warn!(session = %id, "something was published that is no message");
                return;
            }
        };
        self.shared.listener.update(id, &update);
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

async fn subscribe(sink: &mut PubSubSink, channels: &[String]) -> Result<(), LinkError> {
    in_time(sink.subscribe(channels)).await
}

async fn in_time(asked: impl Future<Output = redis::RedisResult<()>>) -> Result<(), LinkError> {
    match tokio::time::timeout(SILENCE_MAX, asked).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(LinkError::Lost("no answer to a subscription".to_owned())),
    }
}
