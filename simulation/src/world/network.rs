//! The network between machines: which host has which name, and whether it can be reached. Does not know what is said.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::host::RedisHost;
use crate::scheduler::Scheduler;
use crate::stream::Stream;

/// How long a connection takes to be made.
const CONNECT_TIME: Duration = Duration::from_micros(300);

/// Hosts by name. Cloning gives another handle to the same one.
#[derive(Clone)]
pub(super) struct Network {
    scheduler: Scheduler,
    hosts: Arc<Mutex<BTreeMap<String, RedisHost>>>,
}

impl Network {
    /// One without hosts.
    pub(super) fn new(scheduler: &Scheduler) -> Self {
        Self { scheduler: scheduler.clone(), hosts: Arc::default() }
    }

    /// A host is known by this name from now on.
    pub(super) fn add(&self, name: &str, host: &RedisHost) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(name.to_owned(), host.clone());
    }

    /// A connection to a host.
    pub(super) fn connect(&self, name: &str) -> impl Future<Output = io::Result<Stream>> + Send + 'static {
        let host = self.hosts.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let made = self.scheduler.sleep(CONNECT_TIME);
        async move {
            made.await;
            host.ok_or(io::ErrorKind::HostUnreachable)?.connect()
        }
    }
}
