//! A line for each answer: for whoever debugs, and a warning where the server could not do what it should. Does not know
//! why.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{debug, warn};

use crate::clock::Moment;

use super::request_context::RequestContext;
use super::request_id::trace_id;
use super::router::RouteMatch;
use super::routes::{Endpoint, Resource};

/// How often it is said that requests cannot be served now: while something is away there is one after the other.
const PAUSE: Duration = Duration::from_secs(60);

/// Writes them.
#[derive(Debug, Default)]
pub(super) struct AnswerLog {
    /// When it was said last that a request cannot be served now.
    said: Mutex<Option<Moment>>,
    unsaid: AtomicU64,
}

impl AnswerLog {
    /// A request was answered `at`.
    pub(super) fn log(&self, context: &RequestContext<'_>, route: RouteMatch<'_>, status: u16, at: Moment) {
        let is_fault = match status {
            // It is asked for this.
            503 if route.resource() == Some(Resource::of(Endpoint::Ready)) => false,
            503 => self.is_said(at),
            _ => status >= 500,
        };
        if !is_fault && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (method, path) = (context.method(), context.path());
        let (request_id, trace_id) = (context.id_text(), trace_id(context.headers()));
        if is_fault {
            let unsaid = self.unsaid.swap(0, Ordering::Relaxed);
            warn!(%method, path, status, request_id, trace_id, unsaid, "a request was not served");
        } else {
            debug!(%method, path, status, request_id, trace_id, "answered");
        }
    }

    /// Whether it was not said just now.
    fn is_said(&self, at: Moment) -> bool {
        let mut said = self.said.lock();
        let is_due = said.is_none_or(|said| at.since(said) >= PAUSE);
        if is_due {
            *said = Some(at);
        } else {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
        }
        is_due
    }
}
