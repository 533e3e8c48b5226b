//! Revocations in Redis: a sorted set of them by their ends, a count that grows when some are kept, and a channel that tells other
//! instances. Has connections of its own. Does not know what is revoked by them.

use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tracing::{debug, warn};

use crate::redis::{Keyspace, Pipeline, RedisConnection, RedisError, RedisServer, Subscriber, resp::Value};
use crate::runtime::time;
use crate::store::contract::{BoxFuture, KeptRevocations, RevocationStore, StoreError, StoreFuture};
use crate::wire::{self, Revocation};

/// Revocations that are written in one round trip.
const CHUNK: usize = 1_000;
/// So many are told one by one; of more it is told that there are some.
const TOLD_MAX: usize = 16;
/// How long to wait before a connection is made again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// The revocations of all instances that share a keyspace.
pub struct RedisRevocations {
    server: RedisServer,
    keyspace: Keyspace,
    link: AsyncMutex<RevocationLink>,
    subscriber: AsyncMutex<Option<Subscriber>>,
}

/// A connection, if there is one.
#[derive(Default)]
struct RevocationLink {
    connection: Option<RedisConnection>,
    /// The run of the server, and the count there, as of the last read.
    seen: Option<(String, u64)>,
}

impl RedisRevocations {
    /// Those on a server that need not answer yet.
    pub fn new(server: &RedisServer, keyspace: &Keyspace) -> Self {
        // One place for all: where the first partition is.
        let shards = server.shards(keyspace);
        let (server, keyspace) = shards.into_iter().next().unwrap_or((server.clone(), keyspace.clone()));
        Self { server, keyspace, link: AsyncMutex::default(), subscriber: AsyncMutex::default() }
    }

    /// Asks on the connection, or on a new one when that is lost: what is asked may be done twice.
    async fn ask(&self, link: &mut RevocationLink, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        // Whoever does not wait for a reply leaves no connection behind on which it will come.
        if let Some(mut connection) = link.connection.take() {
            match connection.ask(commands).await {
                Err(RedisError::Io(_) | RedisError::Moved(_)) => {}
                answered => {
                    link.connection = Some(connection);
                    return whole(answered?);
                }
            }
        }
        let mut connection = self.server.connect().await?;
        let answered = connection.ask(commands).await?;
        link.connection = Some(connection);
        whole(answered)
    }

    async fn keep(&self, revocations: &[Revocation], replaced: &[Revocation]) -> Result<(), RedisError> {
        let mut link = self.link.lock().await;
        let key = self.keyspace.revoked();
        let add = |commands: &mut Pipeline, some: &[Revocation]| {
            if !some.is_empty() {
                commands.cmd("ZADD").arg(&key);
                for one in some {
                    commands.arg(one.until.as_ms()).arg(wire::revocation_text(one).as_str());
                }
            }
        };
        let (last, before) = match revocations.len().checked_sub(1) {
            Some(most) => (&revocations[most / CHUNK * CHUNK..], &revocations[..most / CHUNK * CHUNK]),
            None => (revocations, revocations),
        };
        for some in before.chunks(CHUNK) {
            let mut commands = Pipeline::new();
            add(&mut commands, some);
            self.ask(&mut link, &commands).await?;
        }
        for some in replaced.chunks(CHUNK) {
            let mut commands = Pipeline::new();
            commands.cmd("ZREM").arg(&key).args(some.iter().map(wire::revocation_text));
            self.ask(&mut link, &commands).await?;
        }
        // The count comes last: without it what is there does not count as all.
        let mut commands = Pipeline::new();
        commands.cmd("MULTI");
        add(&mut commands, last);
        commands.cmd("INCR").arg(self.keyspace.revocation_count());
        let channel = self.keyspace.revocations_channel();
        match revocations.len() {
            1..=TOLD_MAX => {
                for one in revocations {
                    commands.cmd(self.keyspace.publish()).arg(&channel).arg(wire::revocation_text(one).as_str());
                }
            }
            0 => {}
            _ => {
                commands.cmd(self.keyspace.publish()).arg(&channel).arg("");
            }
        }
        commands.cmd("EXEC");
        self.ask(&mut link, &commands).await.map(drop)
    }

    async fn kept(&self, is_known: bool) -> Result<Option<KeptRevocations>, RedisError> {
        let mut link = self.link.lock().await;
        let mut commands = Pipeline::new();
        commands.cmd("GET").arg(self.keyspace.revocation_count());
        let replies = self.ask(&mut link, &commands).await?;
        let count = replies.first().and_then(Value::number::<u64>);
        let run = link.connection.as_ref().map(|connection| connection.run_id().to_string()).unwrap_or_default();
        let seen = count.map(|count| (run, count));
        if is_known && seen.is_some() && seen == link.seen {
            return Ok(None);
        }
        let mut commands = Pipeline::new();
        commands.cmd("ZRANGE").arg(self.keyspace.revoked()).arg(0).arg(-1);
        let replies = self.ask(&mut link, &commands).await?;
        let texts = replies.first().map(Value::list).unwrap_or_default();
        let revocations: Vec<_> = texts.iter().filter_map(|text| wire::read_revocation(text.text()?)).collect();
        let unreadable = texts.len() - revocations.len();
        if unreadable > 0 {
            warn!(unreadable, "revocations in Redis cannot be read: a newer server may have written them");
        }
        link.seen = seen;
        Ok(Some(KeptRevocations { revocations, is_empty: count.is_none() }))
    }

    async fn connected(&self) -> Result<Subscriber, RedisError> {
        let subscriber = self.server.subscribe().await?;
        subscriber.subscribe(vec![self.keyspace.revocations_channel()]).await?;
        Ok(subscriber)
    }
}

impl RevocationStore for RedisRevocations {
    fn keep(&self, revocations: Vec<Revocation>, replaced: Vec<Revocation>) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.keep(&revocations, &replaced).await.map_err(unavailable) })
    }

    fn kept(&self, is_known: bool) -> StoreFuture<'_, Option<KeptRevocations>> {
        Box::pin(async move { self.kept(is_known).await.map_err(unavailable) })
    }

    fn heard(&self) -> BoxFuture<'_, Vec<Revocation>> {
        Box::pin(async {
            let mut subscriber = self.subscriber.lock().await;
            loop {
                if let Some(heard) = subscriber.as_mut().filter(|subscriber| subscriber.is_current()) {
                    match heard.next().await {
                        Some(message) => {
                            let text = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
                            return wire::read_revocation(text).into_iter().collect();
                        }
                        None => debug!("the connection for revocations was closed"),
                    }
                    *subscriber = None;
                    time::sleep(RECONNECT_PAUSE).await;
                }
                match self.connected().await {
                    Ok(made) => {
                        *subscriber = Some(made);
                        return Vec::new();
                    }
                    Err(error) => debug!(%error, "revocations of other instances are not heard"),
                }
                time::sleep(RECONNECT_PAUSE).await;
            }
        })
    }
}

/// Replies without a refusal among them.
fn whole(replies: Vec<Value>) -> Result<Vec<Value>, RedisError> {
    let refusal = |reply: &Value| {
        let inside = reply.list().iter().find_map(Value::error);
        reply.error().or(inside).map(|why| RedisError::Server(why.to_owned()))
    };
    match replies.iter().find_map(refusal) {
        Some(refused) => Err(refused),
        None => Ok(replies),
    }
}

fn unavailable(error: RedisError) -> StoreError {
    debug!(%error, "revocations cannot be kept in Redis, or read there");
    match error {
        RedisError::Io(_) => StoreError::UnknownOutcome,
        RedisError::Server(_) | RedisError::Misconfigured(_) | RedisError::Moved(_) | RedisError::TryAgain(_) => {
            StoreError::Unavailable("Redis does not take it")
        }
    }
}
