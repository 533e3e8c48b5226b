//! The health of the server of a shard, as the last connection found it: why it cannot be used, when a circuit breaker
//! lets the next attempt through. Does not know how a connection is made, nor what was logged before.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Moment;
use crate::redis::{CircuitBreaker, Misconfigured, RedisError};

use super::health_log::HealthLog;

/// How long a server is left alone that refused what it was asked.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// The health of a server.
pub(in crate::store::redis) struct ServerHealth {
    log: Arc<HealthLog>,
    known: Mutex<KnownHealth>,
}

struct KnownHealth {
    /// A connection was made.
    is_known: bool,
    /// Why the last connection could not be made.
    away: Option<RedisError>,
    /// The way to have another look at it.
    breaker: CircuitBreaker,
    /// It is not known to be well since something else was said, or ever.
    is_ill: bool,
}

impl ServerHealth {
    /// Nothing is known of the server.
    pub(in crate::store::redis) fn new(log: Arc<HealthLog>) -> Self {
        log.one_is_ill();
        let known = KnownHealth { is_known: false, away: None, breaker: CircuitBreaker::default(), is_ill: true };
        Self { log, known: Mutex::new(known) }
    }

    /// What is missing before the server can be used; `None` when nothing is.
    pub(in crate::store::redis) fn missing(&self) -> Option<String> {
        let known = self.known.lock();
        match &known.away {
            Some(error) => Some(error.to_string()),
            None => (!known.is_known).then(|| "Redis has not answered yet".to_owned()),
        }
    }

    /// Whether waiting does not help.
    pub(in crate::store::redis) fn is_misled(&self) -> bool {
        matches!(self.known.lock().away, Some(RedisError::Misconfigured(Misconfigured { is_lasting: true, .. })))
    }

    /// Why the last connection could not be made, or was not fit.
    pub(in crate::store::redis) fn trouble(&self) -> Option<RedisError> {
        self.known.lock().away.clone()
    }

    /// Lets an attempt to connect through, or says why not yet.
    pub(in crate::store::redis) fn enter(&self, now: Moment) -> Result<(), RedisError> {
        self.known.lock().breaker.try_acquire(now)
    }

    /// Another server is responsible now: no attempt has failed there yet.
    pub(in crate::store::redis) fn is_another(&self) {
        self.known.lock().breaker.close();
    }

    /// It was found fit.
    pub(in crate::store::redis) fn fit(&self) {
        let mut known = self.known.lock();
        (known.is_known, known.away) = (true, None);
        known.breaker.close();
    }

    /// It was looked at and found unfit.
    pub(in crate::store::redis) fn unfit(&self, error: &RedisError, now: Moment) {
        self.known.lock().breaker.record_failure(error, now);
        self.away(error, now);
    }

    /// It could not be reached. The log says what `/ready` says.
    pub(in crate::store::redis) fn away(&self, error: &RedisError, now: Moment) {
        self.tell(error, now);
        self.known.lock().away = Some(error.clone());
    }

    /// The server refused what it was asked on a connection that stood.
    pub(in crate::store::redis) fn refused(&self, error: &RedisError, now: Moment) {
        let mut known = self.known.lock();
        if known.away.is_none() {
            known.breaker.trip(error, REFUSED_PAUSE, now);
        }
    }

    /// Says why the server is waited for.
    pub(in crate::store::redis) fn tell(&self, error: &RedisError, now: Moment) {
        let was_ill = std::mem::replace(&mut self.known.lock().is_ill, true);
        self.log.tell(error, now, was_ill);
    }

    /// Logs once what an operator should know of a server that can be used.
    pub(in crate::store::redis) fn caution(&self, what: &'static str) {
        self.log.caution(what);
    }

    /// The server did what it was asked.
    pub(in crate::store::redis) fn is_well(&self) {
        if std::mem::take(&mut self.known.lock().is_ill) {
            self.log.one_is_well();
        }
    }
}
