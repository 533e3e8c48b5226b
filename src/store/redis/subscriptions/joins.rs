//! Joins: all subscribers that wait join together, with one subscription and one read of their states, while updates go
//! on; and sessions without subscribers are unsubscribed from. Does not know what is published.

use std::sync::Arc;

use crate::engine::SessionId;
use crate::hashing::HashMap;
use crate::redis::Subscriber;
use crate::runtime::time;
use crate::store::redis::read::Lookup;
use crate::store::{Read, Snapshot, StoreError};

use super::lapses;
use super::request::{INTERRUPTED, SubscribedReply};
use super::subscription_change::{Reads, SubscriptionChange};
use super::watched_sessions::{TOGETHER_MAX, WatchedSessions};

impl WatchedSessions {
    /// Lets all waiting subscribers join, unless others are joining: new channels are subscribed to in one round trip,
    /// and then every state is read.
    pub(super) fn begin_joins(&mut self, subscriber: &Subscriber) {
        if self.waiting.is_empty() || !matches!(self.change, SubscriptionChange::None) {
            return;
        }
        let some = self.waiting.len().min(TOGETHER_MAX);
        let (gone, asked): (Vec<_>, Vec<_>) =
            self.waiting.drain(..some).partition(|(_, joined): &(_, SubscribedReply)| joined.is_closed());
        gone.into_iter().for_each(|(id, _)| self.unwatch(id));
        let mut ids: Vec<_> = asked.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let is_new = |id: &&SessionId| self.watched.get(*id).is_none_or(|channel| !channel.is_heard);
        let channels: Vec<_> = ids.iter().filter(is_new).map(|id| self.channel_name(*id)).collect();
        let subscription = (!channels.is_empty()).then(|| subscriber.subscribe(channels));
        let (readers, patience, connector) =
            (self.readers.clone(), self.readers.patience(), Arc::clone(&self.connector));
        let moment = move || connector.server_clock().moment();
        let reads: Reads = Box::pin(async move {
            if let Some(subscription) = subscription {
                subscription.await?;
            }
            let ask = |id| (id, readers.begin(|reply| Lookup::State(id, reply)));
            let (asked, until) = (ids.into_iter().map(ask).collect::<Vec<_>>(), moment() + patience);
            let mut reads = HashMap::with_capacity_and_hasher(asked.len(), Default::default());
            for (id, answer) in asked {
                let read = match answer {
                    Ok(answer) => match time::timeout(until.since(moment()), answer).await {
                        Ok(Ok(read)) => read,
                        Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("the store does not answer")),
                    },
                    Err(error) => Err(error),
                };
                reads.insert(id, read);
            }
            Ok(reads)
        });
        self.change = SubscriptionChange::Join { asked, reads };
    }

    /// Answers them. Returns sessions whose messages came before their state was known.
    pub(super) fn joined(&mut self, mut reads: HashMap<SessionId, Result<Read, StoreError>>) -> Vec<SessionId> {
        let SubscriptionChange::Join { asked, .. } = std::mem::replace(&mut self.change, SubscriptionChange::None)
        else {
            return Vec::new();
        };
        let mut doubted = Vec::new();
        for (id, read) in &reads {
            let Some(channel) = self.watched.get_mut(id) else { continue };
            let snapshot = read.as_ref().ok().and_then(|read| read.snapshot.as_ref());
            let made = |snapshot: &Snapshot| lapses::made(&self.lifetimes, &snapshot.body, None);
            let is_new = !channel.is_heard;
            let held = channel.begin(snapshot.map(|snapshot| (snapshot.tag, made(snapshot))));
            self.lapses.expect_end(*id, channel);
            if is_new && channel.is_in_doubt() {
                doubted.push(*id);
            }
            for message in held {
                doubted.extend(self.tell(*id, &message));
            }
        }
        for (id, joined) in asked {
            // Several may have asked for the same one.
            let read = match reads.get_mut(&id) {
                Some(Ok(read)) => Ok(read.clone()),
                Some(Err(error)) => Err(error.clone()),
                None => Err(INTERRUPTED),
            };
            match read {
                Ok(read) => {
                    // Who does not wait any more drops it.
                    let _ = joined.send(Ok((read, self.subscription(id))));
                }
                Err(error) => self.refuse(id, joined, error),
            }
        }
        doubted
    }

    /// Unsubscribes from channels that have had no subscribers for a while.
    pub(super) fn tidy(&mut self, subscriber: &Subscriber) {
        if !matches!(self.change, SubscriptionChange::None) {
            return;
        }
        let now = self.moment();
        let over: Vec<_> = self.watched.iter().filter(|(_, channel)| channel.is_over(now)).map(|(id, _)| *id).collect();
        let mut channels = Vec::with_capacity(over.len());
        for id in over {
            let Some(channel) = self.watched.remove(&id) else { continue };
            self.lapses.forget(id, &channel);
            if channel.is_heard {
                channels.push(self.channel_name(id));
            }
        }
        if !channels.is_empty() {
            self.change = SubscriptionChange::Leave(subscriber.unsubscribe(channels));
        }
    }
}
