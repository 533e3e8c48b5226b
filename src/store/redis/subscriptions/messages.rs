//! Messages as they are published: handed on to subscribers if they are to be believed. Does not know connections.

use bytes::Bytes;
use tracing::warn;

use crate::engine::SessionId;
use crate::store::{Countdown, Update};
use crate::wire::{self, PubSubMessage};

use super::channel::Belief;
use super::lapses;
use super::watched_sessions::WatchedSessions;

impl WatchedSessions {
    /// Hands on a message; returns its session when what is stored must be read first.
    pub(super) fn hand_on(&mut self, channel: &str, payload: &[u8]) -> Option<SessionId> {
        let id = self.connector.keyspace().session_of_channel(channel)?;
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
        let (connector, lifetimes) = (&self.connector, &self.lifetimes);
        let channel = self.watched.get_mut(&id)?;
        let update = match wire::read_pubsub_message(payload, id) {
            Some(PubSubMessage::State(tag, frame)) => {
                match channel.believe(tag, || connector.server_clock().now()) {
                    Belief::Sure => {}
                    Belief::Old => return None,
                    Belief::Doubt => return channel.doubt(tag).then_some(id),
                }
                channel.heard(tag, Some(lapses::made(lifetimes, &frame, wire::published_at(payload))));
                self.lapses.expect_end(id, channel);
                let countdown = countdown(&frame);
                Update::State { tag, frame, countdown }
            }
            Some(PubSubMessage::Deleted(tag, frame)) => {
                match channel.believe(tag, || connector.server_clock().now()) {
                    Belief::Sure => {}
                    Belief::Old => return None,
                    Belief::Doubt => return channel.doubt(tag).then_some(id),
                }
                channel.heard(tag, None);
                Update::Deleted { tag, frame }
            }
            // It is sent with its state.
            Some(PubSubMessage::Notice(Some(tag), _)) if !channel.is_news_of(tag) => return None,
            Some(PubSubMessage::Notice(_, message)) => Update::Notice(message),
            None => {
                self.reject(id, "something was published that is no message");
                return None;
            }
        };
        self.listener.update(id, &update);
        if let Some(published) = wire::published_at(payload)
            && let Some(now_us) = self.connector.server_clock().now_us()
        {
            self.connector.metrics().handed_on(published, now_us);
        }
        None
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
