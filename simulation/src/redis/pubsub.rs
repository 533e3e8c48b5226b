//! Who listens to which channel. Channels of shards have names of their own, and are otherwise alike.

use std::collections::{BTreeMap, BTreeSet};

use super::reply::Reply;
use super::server::{ClientId, Delivery};

/// The two kinds of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ChannelKind {
    Plain,
    Sharded,
}

impl ChannelKind {
    /// The kind that a command is about: the names of those about shards begin with an S.
    pub(super) fn of_command(name: &[u8]) -> Self {
        let sharded = [&b"SSUBSCRIBE"[..], b"SUNSUBSCRIBE", b"SPUBLISH"];
        if sharded.iter().any(|sharded| name.eq_ignore_ascii_case(sharded)) { Self::Sharded } else { Self::Plain }
    }

    fn word(self, plain: &'static str, sharded: &'static str) -> Reply {
        let word = match self {
            Self::Plain => plain,
            Self::Sharded => sharded,
        };
        Reply::Bulk(word.as_bytes().to_vec())
    }
}

/// All subscriptions, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscriptions(BTreeMap<(ChannelKind, Vec<u8>), BTreeSet<ClientId>>);

impl Subscriptions {
    /// Subscribes a client to channels; it is told of each how many channels of that kind it has.
    pub(super) fn subscribe(&mut self, client: ClientId, kind: ChannelKind, channels: &[Vec<u8>]) -> Vec<Delivery> {
        let subscribed = channels.iter().map(|channel| {
            self.0.entry((kind, channel.clone())).or_default().insert(client);
            let count = Reply::count(self.count(client, kind));
            let channel = Reply::Bulk(channel.clone());
            Delivery { client, reply: Reply::Array(vec![kind.word("subscribe", "ssubscribe"), channel, count]) }
        });
        subscribed.collect()
    }

    /// The same for channels that it leaves; without any, all that it has.
    pub(super) fn unsubscribe(&mut self, client: ClientId, kind: ChannelKind, channels: &[Vec<u8>]) -> Vec<Delivery> {
        let all: Vec<_> = if channels.is_empty() { self.channels(client, kind) } else { channels.to_vec() };
        let left = |channel: Reply, count: usize| Delivery {
            client,
            reply: Reply::Array(vec![kind.word("unsubscribe", "sunsubscribe"), channel, Reply::count(count)]),
        };
        if all.is_empty() {
            return vec![left(Reply::Nil, self.count(client, kind))];
        }
        let leave = |channel: Vec<u8>| {
            if let Some(clients) = self.0.get_mut(&(kind, channel.clone())) {
                clients.remove(&client);
            }
            left(Reply::Bulk(channel), self.count(client, kind))
        };
        all.into_iter().map(leave).collect()
    }

    /// Forgets a client.
    pub(super) fn remove(&mut self, client: ClientId) {
        for clients in self.0.values_mut() {
            clients.remove(&client);
        }
    }

    /// Whether a client has any, and so can do little else.
    pub(super) fn has_any(&self, client: ClientId) -> bool {
        self.0.values().any(|clients| clients.contains(&client))
    }

    /// Messages to all who listen to a channel.
    pub(super) fn publish(&self, kind: ChannelKind, channel: &[u8], message: &[u8]) -> Vec<Delivery> {
        let clients = self.0.get(&(kind, channel.to_vec())).into_iter().flatten();
        let message = |&client| {
            let words = [channel, message].map(|word| Reply::Bulk(word.to_vec()));
            let reply = Reply::Array([kind.word("message", "smessage")].into_iter().chain(words).collect());
            Delivery { client, reply }
        };
        clients.map(message).collect()
    }

    fn channels(&self, client: ClientId, kind: ChannelKind) -> Vec<Vec<u8>> {
        let own = self.0.iter().filter(|((of, _), clients)| *of == kind && clients.contains(&client));
        own.map(|((_, channel), _)| channel.clone()).collect()
    }

    fn count(&self, client: ClientId, kind: ChannelKind) -> usize {
        self.channels(client, kind).len()
    }
}
