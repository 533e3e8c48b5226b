//! The access log: a line for each answer at level debug, and a warning where a request was not served. Does not know why.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{debug, warn};

use crate::clock::Moment;

use super::request_context::RequestContext;
use super::request_id::trace_id;
use super::router::RouteMatch;
use super::routes::{Endpoint, Resource};

/// How often a 503 is logged: an outage refuses one request after the other.
const PAUSE: Duration = Duration::from_secs(60);

/// Logs answers.
#[derive(Debug, Default)]
pub(super) struct AnswerLog {
    /// When a 503 was last logged.
    logged_at: Mutex<Option<Moment>>,
    /// 503s since then.
    suppressed: AtomicU64,
}

impl AnswerLog {
    /// A request was answered `at`.
    pub(super) fn log(&self, context: &RequestContext<'_>, route: RouteMatch<'_>, status: u16, at: Moment) {
        let is_fault = match status {
            // That is an answer, and no failure.
            503 if route.resource() == Some(Resource::of(Endpoint::Ready)) => false,
            503 => self.is_due(at),
            _ => status >= 500,
        };
        if !is_fault && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (method, path) = (context.method(), context.path());
        let (request_id, trace_id) = (context.id_text(), trace_id(context.headers()));
        if is_fault {
            let unsaid = self.suppressed.swap(0, Ordering::Relaxed);
            warn!(%method, path, status, request_id, trace_id, unsaid, "a request was not served");
        } else {
            debug!(%method, path, status, request_id, trace_id, "answered");
        }
    }

    /// Whether a 503 is to be logged again; counts it otherwise.
    fn is_due(&self, at: Moment) -> bool {
        let mut logged_at = self.logged_at.lock();
        let is_due = logged_at.is_none_or(|logged_at| at.since(logged_at) >= PAUSE);
        if is_due {
            *logged_at = Some(at);
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
        }
        is_due
    }
}
