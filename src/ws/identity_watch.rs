//! Watches over who a client is while it stays: tells when its token is about to end, has ended, or counts no more. Does not know
//! what a client does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::auth::{Authenticator, Identity};
use crate::clock::Moment;
use crate::engine::SessionId;

/// How long before the end a client is told, at most.
const NOTICE_MAX: Duration = Duration::from_secs(30);
/// Of the time that is left when a client comes, one part in so many is the notice.
const NOTICE_PARTS: u32 = 4;
/// How long to sleep before looking at the clock again: timers of the runtime do not count sleep of the machine.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What becomes of a client's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityEvent {
    /// It will end soon.
    Expiring,
    /// It has ended.
    Expired,
    /// It counts no more here: its key is gone, or it was revoked.
    Revoked,
}

/// Watches over one client's identity.
pub(super) struct IdentityWatch {
    authenticator: Arc<Authenticator>,
    changes: watch::Receiver<u64>,
    identity: Arc<Identity>,
    /// Where the client is.
    session: SessionId,
    /// When to tell that it ends soon.
    notice_at: Option<Moment>,
}

impl IdentityWatch {
    pub(super) fn new(authenticator: &Arc<Authenticator>, identity: Arc<Identity>, session: SessionId) -> Self {
        let mut changes = authenticator.changes();
        // What has changed since the client was identified is looked at, too.
        changes.mark_changed();
        let now = authenticator.clock().moment();
        let notice_at = identity.expires().map(|expires| {
            let left = expires.since(now);
            now + (left - (left / NOTICE_PARTS).min(NOTICE_MAX))
        });
        Self { authenticator: Arc::clone(authenticator), changes, identity, session, notice_at }
    }

    /// The client is somebody anew.
    pub(super) fn renew(&mut self, identity: Arc<Identity>) {
        *self = Self::new(&self.authenticator, identity, self.session);
    }

    /// Waits for what becomes of it next.
    pub(super) async fn next(&mut self) -> IdentityEvent {
        loop {
            let now = self.authenticator.clock().moment();
            if !self.identity.is_alive(now) {
                return IdentityEvent::Expired;
            }
            if self.notice_at.is_some_and(|at| now >= at) {
                self.notice_at = None;
                return IdentityEvent::Expiring;
            }
            let next = self.notice_at.or(self.identity.ends());
            let wait = async {
                match next {
                    Some(at) => tokio::time::sleep(at.since(now).min(SLEEP_MAX)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = self.changes.changed() => {
                    if changed.is_ok() && self.authenticator.is_revoked(&self.identity, self.session) {
                        return IdentityEvent::Revoked;
                    }
                }
                () = wait => {}
            }
        }
    }
}
