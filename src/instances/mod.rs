//! The instances that share a Redis: each renews a lease there with its version, the formats that it reads and its settings,
//! and reads the others' leases. So no instance writes a format that another cannot read, and one whose settings differ
//! where all must agree is not ready. Does not know what the settings do.
//!
//! `instance:<run>` is a lease (TTL 10 s, renewed each 3 s), `instances` a sorted set of all runs by their start;
//! one that differs stands behind all others.

mod lease;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};

use crate::redis::{Keyspace, Pipeline, RedisConnection, RedisError, RedisServer, resp::Value};
use crate::runtime::time;
use crate::store::redis::RecordFormat;
use crate::supervision::panic_point;

pub use lease::{Fingerprint, Lease};

/// How long a lease lasts.
const LEASE_S: u64 = 10;
/// How often it is renewed.
const RENEW_INTERVAL: Duration = Duration::from_secs(3);
/// How soon it is tried again after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What this instance is, and what is known of the others. Cloning shares it.
#[derive(Clone)]
pub struct Instances(Arc<InstancesState>);

struct InstancesState {
    server: RedisServer,
    keyspace: Keyspace,
    run: String,
    /// In which format states are to be written, when everybody reads it.
    wanted: u8,
    format: RecordFormat,
    lease: Mutex<Lease>,
    /// How this instance differs from those that were there before it.
    differs: Mutex<Option<String>>,
}

impl Instances {
    /// An instance called `run`, among those that share a keyspace; it is to write `wanted` if everybody reads it, and
    /// tells in `format` what it writes until then.
    pub fn new(
        server: &RedisServer,
        keyspace: &Keyspace,
        run: String,
        lease: Lease,
        wanted: u8,
        format: RecordFormat,
    ) -> Self {
        // One place for all: where the first partition is.
        let shares = server.shards(keyspace);
        let (server, keyspace) = shares.into_iter().next().unwrap_or((server.clone(), keyspace.clone()));
        let (lease, differs) = (Mutex::new(lease), Mutex::default());
        Self(Arc::new(InstancesState { server, keyspace, run, wanted, format, lease, differs }))
    }

    /// Something that must be equal is known now.
    pub fn learn(&self, name: &'static str, value: String) {
        self.0.lease.lock().fingerprint.set(name, value);
    }

    /// How this instance differs from those that were there before it, for people.
    pub fn differs(&self) -> Option<String> {
        self.0.differs.lock().clone()
    }

    /// Keeps the lease until it is dropped.
    pub async fn keep(self) {
        let mut link = None;
        loop {
            panic_point("lease", "");
            let pause = match self.renew(&mut link).await {
                Ok(()) => RENEW_INTERVAL,
                Err(error) => {
                    tracing::debug!(%error, "cannot renew the lease of this instance");
                    link = None;
                    RETRY_INTERVAL
                }
            };
            time::sleep(pause).await;
        }
    }

    async fn renew(&self, link: &mut Option<RedisConnection>) -> Result<(), RedisError> {
        let InstancesState { server, keyspace, run, lease, .. } = &*self.0;
        let link = match link {
            Some(link) => link,
            None => link.insert(server.connect().await?),
        };
        let (index, own) = (keyspace.instances(), keyspace.instance(run));
        let text = lease.lock().text();
        let mut commands = Pipeline::new();
        commands.cmd("TIME");
        let replies = link.ask(&commands).await?;
        let now_s = replies.first().and_then(|reply| reply.list().first()?.number::<u64>()).unwrap_or_default();
        let mut commands = Pipeline::new();
        commands.cmd("SETEX").arg(&own).arg(LEASE_S).arg(text.as_bytes());
        match self.differs() {
            None => commands.cmd("ZADD").arg(&index).arg("NX").arg(now_s).arg(run.as_str()),
            // It goes behind all others, so that it is not the first one when those are gone that it differs from.
            Some(_) => commands.cmd("ZADD").arg(&index).arg(now_s).arg(run.as_str()),
        };
        commands.cmd("ZRANGE").arg(&index).arg(0).arg(-1);
        let replies = link.ask(&commands).await?;
        if let Some(why) = replies.iter().find_map(Value::error) {
            return Err(RedisError::Server(why.to_owned()));
        }
        let runs = replies.last().map(Value::list).unwrap_or_default();
        let runs: Vec<_> = runs.iter().filter_map(|run| run.text().map(str::to_owned)).collect();
        let mut commands = Pipeline::new();
        commands.cmd("MGET").args(runs.iter().map(|run| keyspace.instance(run)));
        let replies = link.ask(&commands).await?;
        let found = replies.first().map(Value::list).unwrap_or_default();
        let mut leases = Vec::new();
        let mut over = Pipeline::new();
        for (run, reply) in runs.iter().zip(found) {
            match reply.text().map(Lease::read) {
                Some(lease) => leases.push((run.as_str(), lease)),
                None => {
                    over.cmd("ZREM").arg(&index).arg(run.as_str());
                }
            }
        }
        if leases.len() < runs.len() {
            link.ask(&over).await?;
        }
        self.judge(&leases);
        Ok(())
    }

    /// Takes in all leases, oldest first.
    fn judge(&self, leases: &[(&str, Lease)]) {
        let InstancesState { run, wanted, format, lease, differs, .. } = &*self.0;
        let own = lease.lock().clone();
        let readable = leases.iter().map(|(_, lease)| lease.formats_max).min().unwrap_or(1);
        let next = (*wanted).min(readable.max(1));
        if next != format.get() {
            info!(format = next, wanted, "states are written in another format from now on");
        }
        // Who has no lease reads the first one only, and may be there until the operator says otherwise.
        format.set(next, if *wanted > 1 { readable } else { 1 });
        let before = leases.iter().take_while(|(other, _)| *other != run.as_str()).map(|(_, lease)| lease);
        let difference = agreed(before).into_iter().find_map(|other| {
            let what = own.fingerprint.difference(&other.fingerprint)?;
            Some(format!("{what} (instance {}, version {}, was there first)", other.name, other.version))
        });
        let mut differs = differs.lock();
        match (&*differs, &difference) {
            (before, Some(why)) if before.as_ref() != Some(why) => {
                warn!(why, "this instance does not serve: what must be equal on all instances is not");
            }
            (Some(_), None) => info!("what must be equal on all instances is so now"),
            (Some(_) | None, Some(_) | None) => {}
        }
        *differs = difference;
    }
}

/// Those of `leases`, oldest first, that differ from none before them: one that does decides nothing.
fn agreed<'l>(leases: impl Iterator<Item = &'l Lease>) -> Vec<&'l Lease> {
    let mut agreed = Vec::<&Lease>::new();
    for lease in leases {
        if agreed.iter().all(|other| lease.fingerprint.difference(&other.fingerprint).is_none()) {
            agreed.push(lease);
        }
    }
    agreed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fingerprint, Instances, Lease};
    use crate::redis::{Certificates, Keyspace, RedisServer};
    use crate::store::redis::RecordFormat;

    fn lease(formats_max: u8, audit: &str) -> Lease {
        let fingerprint = Fingerprint::from([("AUDIT", audit.to_owned())]);
        Lease { name: "there".to_owned(), version: "2.1.0".to_owned(), formats_max, fingerprint }
    }

    #[test]
    fn who_was_there_first_decides_and_nobody_writes_what_another_cannot_read() {
        let server = RedisServer::parse("redis://localhost", &Certificates::default(), Duration::from_secs(1));
        let (server, format) = (server.expect("a URL"), RecordFormat::default());
        let here = lease(2, "on");
        let all = Instances::new(&server, &Keyspace::new("", 1), "b".into(), here.clone(), 2, format.clone());
        all.judge(&[("b", here.clone())]);
        assert_eq!((format.get(), all.differs()), (2, None));
        assert!(format.reads(2) && !format.reads(3), "nobody reads more than its lease says");
        all.judge(&[("b", here.clone()), ("c", lease(1, "off"))]);
        assert!(format.reads(1) && !format.reads(2));
        assert_eq!((format.get(), all.differs()), (1, None), "who came later is the one that differs");
        all.judge(&[("a", lease(2, "off")), ("b", here.clone())]);
        let why = all.differs().expect("it differs");
        assert!(why.contains("AUDIT is on here and off there"), "{why}");
        all.judge(&[("a", lease(2, "on")), ("c", lease(2, "off")), ("b", here.clone())]);
        assert_eq!(all.differs(), None, "who differs itself decides nothing");
        all.judge(&[("a", lease(3, "on")), ("b", here)]);
        assert_eq!((format.get(), all.differs()), (2, None));
        let newer = lease(3, "on");
        all.judge(&[("b", newer.clone()), ("c", newer.clone())]);
        assert!(format.reads(3) && format.get() == 2);
        let asked = Instances::new(&server, &Keyspace::new("", 1), "b".into(), newer.clone(), 1, format.clone());
        asked.judge(&[("b", newer)]);
        assert!(!format.reads(2), "one without a lease may be there");
    }
}
