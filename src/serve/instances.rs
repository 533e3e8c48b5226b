//! The other instances that share a Redis: this one joins them, and learns which database it writes into. Does not know what
//! they do.

use std::io;
use std::time::Duration;

use crate::config::{Address, RedisSettings};
use crate::instances::{Fingerprint, Instances, Lease};
use crate::postgres::{self, PostgresServer};
use crate::random;
use crate::readiness::Finding;
use crate::redis::{Keyspace, RedisServer};
use crate::store::redis::RecordFormat;
use crate::supervision::{Supervisor, Task, TaskExit};
use crate::wire;

use super::wiring::Wiring;

/// How often a database is asked which one it is, as long as it does not answer.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(5);

impl Wiring<'_> {
    /// Joins the instances that share a Redis, if there is one.
    pub(super) fn join_instances(
        &mut self,
        server: Option<&RedisServer>,
        address: &Address,
        format: RecordFormat,
    ) -> io::Result<()> {
        let (Some(server), Some(redis)) = (server, &self.config.redis) else { return Ok(()) };
        let instances = self.instances(redis, server, address, format);
        let differing = instances.clone();
        self.readiness.add("instances", move || differing.differs().map(Finding::NotReady));
        if let Some(audit) = &self.config.audit {
            let database = PostgresServer::open(&audit.access).map_err(io::Error::other)?;
            let (learning, supervisor) = (instances.clone(), self.supervisor.clone());
            let identify = move || identify(database.clone(), learning.clone(), supervisor.clone());
            self.tasks.spawn(self.supervisor.keep(Task::auxiliary("identity of the database"), identify));
        }
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("lease"), move || instances.clone().keep()));
        Ok(())
    }

    fn instances(
        &self,
        redis: &RedisSettings,
        server: &RedisServer,
        address: &Address,
        format: RecordFormat,
    ) -> Instances {
        let audit = if self.config.audit.is_some() { "on" } else { "off" };
        let fingerprint =
            Fingerprint::from([("PARTITIONS", redis.partitions.to_string()), ("AUDIT", audit.to_owned())]);
        let (name, version) = (address.to_string(), env!("CARGO_PKG_VERSION").to_owned());
        let lease = Lease { name, version, formats_max: *wire::FORMATS.end(), fingerprint };
        let run = random::name();
        let keyspace = Keyspace::new(&redis.prefix, redis.partitions);
        Instances::new(server, &keyspace, run, lease, redis.record_format, format)
    }
}

/// Finds out which database the audit is written into, once it can be asked.
async fn identify(database: PostgresServer, instances: Instances, supervisor: Supervisor) -> TaskExit {
    loop {
        let asked = database.clone();
        if let Ok(Ok(identity)) = supervisor.block("identity of the database", move || postgres::identity(&asked)).await
        {
            instances.learn("DATABASE_URL", identity);
            return TaskExit::Done;
        }
        tokio::time::sleep(IDENTIFY_INTERVAL).await;
    }
}
