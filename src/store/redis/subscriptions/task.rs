//! The task behind the subscriptions of a shard: one connection at a time, noticed when it goes silent and made anew.
//! Does not know what is published.
//!
//! Nothing holds up what is published: new subscribers wait together for a subscription and a read that are under way
//! while updates are handed on.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tracing::{debug, info, warn};

use crate::redis::RedisError;
use crate::runtime::time::{self, Ticks};
use crate::store::Update;
use crate::store::metrics::Role;
use crate::store::redis::jitter;
use crate::supervision::panic_point;

use super::channel::Channel;
use super::pending_read::{PendingRead, ReadCause};
use super::request::{INTERRUPTED, SubscriptionRequest};
use super::subscription_change::{FinishedChange, SubscriptionChange, finish};
use super::watched_sessions::{TOGETHER_MAX, WatchedSessions};

/// How long a connection may be silent before it is probed.
const QUIET_MAX: Duration = Duration::from_millis(800);
/// How long before it is given up: so that clients who miss something have the newest state within 2 s.
const SILENCE_MAX: Duration = Duration::from_millis(1_600);
/// How often silence is checked, and channels without subscribers are unsubscribed from.
const TICK: Duration = Duration::from_millis(100);
/// How long updates may be interrupted while all else works, before subscribers are sent elsewhere.
const INTERRUPTED_MAX: Duration = Duration::from_secs(5);
/// How long to wait before a lost connection is made anew.
const RECONNECT_PAUSE_US: (u64, u64) = (20_000, 200_000);

impl WatchedSessions {
    /// Runs until no further requests can come.
    pub(in crate::store::redis) async fn run(&mut self) {
        if self.run.is_some() {
            // The run before panicked: what was under way is not, and what was published since is lost.
            self.lost(&RedisError::Io("updates met a fault of ours".to_owned()));
        }
        loop {
            match self.connected().await {
                Ok(()) => return,
                Err(error) => self.lost(&error),
            }
            if !self.pause().await {
                return;
            }
        }
    }

    /// Serves one connection; returns when no further requests can come.
    async fn connected(&mut self) -> Result<(), RedisError> {
        let mut subscriber = self.connector.subscribe().await?;
        let mut channels = vec![self.probe.clone()];
        let heard = self.watched.iter().filter(|(_, channel)| channel.is_heard);
        channels.extend(heard.map(|(id, _)| self.channel_name(*id)));
        for some in channels.chunks(TOGETHER_MAX) {
            subscriber.subscribe(some.to_vec()).await?;
        }
        self.catch_up().await?;
        self.found();
        let mut ticks = Ticks::new(TICK);
        let (mut heard, mut probed) = (self.moment(), false);
        let mut looks: FuturesUnordered<PendingRead> = FuturesUnordered::new();
        loop {
            self.begin_joins(&subscriber);
            tokio::select! {
                // Who has ended a watch hears nothing that is committed after it.
                biased;
                ask = self.inbox.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return Ok(()),
                },
                finished = finish(&mut self.change) => match finished {
                    FinishedChange::Joined(reads) => {
                        for id in self.joined(reads?) {
                            looks.push(self.look(id, ReadCause::Doubt));
                        }
                    }
                    FinishedChange::Left(left) => {
                        self.change = SubscriptionChange::None;
                        left?;
                    }
                },
                Some(looked) = looks.next(), if !looks.is_empty() => looks.extend(self.looked(looked)),
                message = subscriber.next() => match message {
                    Some(message) => {
                        (heard, probed) = (self.moment(), false);
                        // A message that meets a fault of ours is lost, and the next state makes good for it.
                        let supervisor = self.connector.metrics().supervisor().clone();
                        let hand_on = || self.hand_on(message.get_channel_name(), message.get_payload_bytes());
                        if let Ok(Some(id)) = supervisor.guard("update", hand_on) {
                            looks.push(self.look(id, ReadCause::Doubt));
                        }
                    }
                    None => return Err(RedisError::Io("the connection for updates was closed".to_owned())),
                },
                () = ticks.tick() => {
                    panic_point("updates", "");
                    if !subscriber.is_current() {
                        return Err(RedisError::Moved("updates are published by another server now".to_owned()));
                    }
                    let silence = self.moment().since(heard);
                    if silence >= SILENCE_MAX {
                        return Err(RedisError::Io("the connection for updates is silent".to_owned()));
                    }
                    if silence >= QUIET_MAX && !std::mem::replace(&mut probed, true) {
                        // Its answer is that it is heard.
                        self.readers.probe(&self.probe);
                    }
                    self.tidy(&subscriber);
                    looks.extend(self.look_at_lapsed());
                }
            }
        }
    }

    fn take(&mut self, ask: SubscriptionRequest) {
        match ask {
            SubscriptionRequest::Subscribe(id, joined) => {
                self.watched.entry(id).or_default().watch();
                if self.interruption.is_given_up {
                    self.refuse(id, joined, INTERRUPTED);
                } else {
                    self.waiting.push((id, joined));
                }
            }
            SubscriptionRequest::Unsubscribe(id) => self.unwatch(id),
        }
    }

    /// The connection was lost, or could not be made.
    fn lost(&mut self, error: &RedisError) {
        match self.run {
            None => debug!(%error, "updates are not connected yet"),
            Some(_) if std::mem::replace(&mut self.interruption.is_logged, true) => debug!(%error, "still interrupted"),
            Some(_) => warn!(%error, "updates are interrupted"),
        }
        // What was on its way is begun again.
        if let SubscriptionChange::Join { asked, .. } = std::mem::replace(&mut self.change, SubscriptionChange::None) {
            self.waiting.splice(0..0, asked);
        }
        self.watched.values_mut().for_each(Channel::is_interrupted);
        self.connector.health().set_interrupted(Some(error.to_string()));
        if self.connector.health().unready_reason().is_some() {
            // Other instances are no better off, and waiting subscribers are answered when it is over.
            self.interruption.since = None;
            return;
        }
        let now = self.moment();
        if now.since(*self.interruption.since.get_or_insert(now)) >= INTERRUPTED_MAX {
            self.send_elsewhere();
        }
    }

    /// Sends all subscribers elsewhere, waiting ones included.
    fn send_elsewhere(&mut self) {
        let watched = self.watched.iter().filter(|(_, channel)| channel.is_watched());
        let watched: Vec<_> = watched.map(|(id, _)| *id).collect();
        if !std::mem::replace(&mut self.interruption.is_given_up, true) {
            warn!(sessions = watched.len(), "updates stay interrupted: whoever watches is sent elsewhere");
        }
        for (id, joined) in std::mem::take(&mut self.waiting) {
            self.refuse(id, joined, INTERRUPTED);
        }
        for id in watched {
            self.listener.update(id, &Update::Interrupted);
        }
    }

    /// Updates are heard, and nothing is missing any more.
    fn found(&mut self) {
        self.connector.health().set_interrupted(None);
        if std::mem::take(&mut self.interruption).is_logged {
            self.connector.metrics().reconnected(Role::Updates);
            info!(sessions = self.watched.len(), "updates are connected again");
        }
    }

    /// Waits a little before the reconnect; `false` when no further requests can come.
    async fn pause(&mut self) -> bool {
        let pause = time::sleep(jitter::between_us(RECONNECT_PAUSE_US.0, RECONNECT_PAUSE_US.1));
        let mut pause = std::pin::pin!(pause);
        loop {
            tokio::select! {
                biased;
                () = &mut pause => return true,
                ask = self.inbox.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return false,
                },
            }
        }
    }
}

impl Drop for WatchedSessions {
    fn drop(&mut self) {
        self.connector.health().set_interrupted(None);
    }
}
