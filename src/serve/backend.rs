//! Where sessions are kept: in this process, in a data directory beside it, or in Redis. Does not know what a session is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Millis;
use crate::memory_limit;
use crate::redis::{Keyspace, RedisServer, WakeUp};
use crate::store::file::DataDir;
use crate::store::memory::{self, Memory};
use crate::store::redis::{
    CommitPolicy, QueueBudget, RecordFormat, RecordPolicy, RedisRevocations, RedisStore, StoreLocation,
};
use crate::store::{Backend, Listener, Metrics, RevocationStore};
use crate::ws::Hub;

use super::wiring::Wiring;

/// How long a reply of Redis may take: a command that waits longer is not worth waiting for.
const REDIS_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// A backend, and what others need to know of it.
pub(super) struct WiredBackend {
    pub(super) store: Arc<dyn Backend>,
    /// In which form sessions are written, where that may change.
    pub(super) record_format: RecordFormat,
    /// Notified when there is something to audit, one for each queue.
    pub(super) wake_ups: Vec<WakeUp>,
}

impl Wiring<'_> {
    /// Where it is kept what was revoked, as far as it outlives the process.
    pub(super) fn revocation_store(
        &self,
        data: Option<&DataDir>,
        server: Option<&RedisServer>,
    ) -> Option<Arc<dyn RevocationStore>> {
        match (&self.config.redis, server, data) {
            (Some(redis), Some(server), _) => {
                let keyspace = Keyspace::new(&redis.prefix, redis.partitions);
                Some(Arc::new(RedisRevocations::new(server, &keyspace)))
            }
            (_, _, Some(data)) => Some(data.revocations()),
            (_, _, None) => None,
        }
    }

    /// The data directory, if there is one.
    pub(super) fn data_dir(&self, metrics: &Metrics) -> io::Result<Option<DataDir>> {
        let Some(path) = &self.config.data_dir else { return Ok(None) };
        DataDir::open(path, self.clock.clone(), self.config.request_timeout, metrics.clone()).map(Some)
    }

    /// The Redis, if there is one.
    pub(super) fn redis(&self) -> io::Result<Option<RedisServer>> {
        let Some(redis) = &self.config.redis else { return Ok(None) };
        RedisServer::open(&redis.access, REDIS_REPLY_TIMEOUT).map(Some).map_err(io::Error::other)
    }

    /// The backend of the settings; it tells `hub` of changes.
    pub(super) fn backend(
        &mut self,
        hub: &Arc<Hub>,
        metrics: &Metrics,
        data: Option<&DataDir>,
        server: Option<&RedisServer>,
    ) -> io::Result<WiredBackend> {
        let metrics = metrics.clone();
        let tombstone_ttl = Millis::new(self.config.tombstone_ttl.as_millis() as u64);
        let lifetimes = self.lifetimes();
        let listener: Arc<dyn Listener> = Arc::clone(hub) as _;
        let record_format = RecordFormat::default();
        let (Some(redis), Some(server)) = (&self.config.redis, server) else {
            let bytes_max = self.config.sessions_bytes_max.unwrap_or_else(|| memory_limit::bytes() / 4);
            let limit = memory::Limit { sessions_max: self.config.sessions_max, bytes_max, tombstone_ttl, lifetimes };
            let store: Arc<dyn Backend> = match data {
                Some(data) => Arc::new(Memory::open(self.clock.clone(), limit, listener, metrics, data)?),
                None => Arc::new(Memory::new(self.clock.clone(), limit, listener, metrics)),
            };
            let asked = Arc::clone(&store);
            self.readiness.add("store", move || asked.health());
            return Ok(WiredBackend { store, record_format, wake_ups: Vec::new() });
        };
        let (server, keyspace) = (server.clone(), Keyspace::new(&redis.prefix, redis.partitions));
        let bytes_max = self.config.audit.as_ref().map(|audit| audit.queue_bytes_max / u64::from(redis.partitions));
        let audit = bytes_max.map(|bytes_max| QueueBudget { bytes_max });
        let location = StoreLocation { server, keyspace, timeout: self.config.request_timeout };
        let records = RecordPolicy { format: record_format.clone(), lifetimes, tombstone_ttl };
        let commits = CommitPolicy { audit, replicas_min: redis.replicas_min };
        let store = RedisStore::new(&self.clock, location, records, commits, &listener, &metrics);
        let wake_ups = store.wake_ups();
        let asked = store.clone();
        self.readiness.add("store", move || asked.health());
        Ok(WiredBackend { store: Arc::new(store), record_format, wake_ups })
    }
}
