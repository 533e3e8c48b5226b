//! One client on a WebSocket: subscribes to its session, then reads what it sends and flushes its outbox, at the same time.
//! Does not know other clients.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tracing::debug;

use crate::engine::StateTag;
use crate::sessions::Failure;
use crate::shutdown::Shutdown;
use crate::store::{StoreError, Subscribed, Subscription};
use crate::wire;

use super::admission::{self, AdmittedClient};
use super::answers::Answers;
use super::client_reader::ClientReader;
use super::context::WsContext;
use super::outbox::{Due, Outbox};
use super::outgoing::OutboxEnd;
use super::socket::{ClientSocket, CloseReason, DELETED, INTERRUPTED, SHUTTING_DOWN, TOO_SLOW, TRY_AGAIN};
use super::upgrade::UpgradeRequest;

/// How long a client that wants to join waits for a store that is busy or away.
const JOIN_PATIENCE: Duration = Duration::from_secs(5);
/// How long until it is tried again.
const JOIN_PAUSE: Duration = Duration::from_millis(50);
/// Serves a client until either side ends it; gives the socket back for closing.
pub async fn serve(
    tcp: TcpStream,
    read: Bytes,
    upgrade: UpgradeRequest,
    context: &WsContext,
    mut shutdown: Shutdown,
) -> TcpStream {
    let outbox = context.hub.outbox();
    let mut socket = ClientSocket::new(tcp, read, &outbox).await;
    let UpgradeRequest { session, caller, entrance } = upgrade;
    let client = caller.address();
    let admitted = match session {
        Ok(id) => {
            let admitted = admission::admit(&mut socket, id, caller, entrance, context, &mut shutdown).await;
            admitted.map(|client| (id, client))
        }
        Err(why) => Err(CloseReason::refused(why)),
    };
    let ending = match admitted {
        Ok((id, AdmittedClient { caller, has_said_it })) => {
            let _member = context.hub.join(id, Arc::clone(&outbox));
            let sessions = context.sessions.asked_by(caller.counted());
            let (clocks, client_limit) = (Arc::clone(&context.clocks), context.client_limit.clone());
            let (clock, request_timeout) = (context.clock.clone(), context.request_timeout);
            let caller = Mutex::new(caller);
            let answers = Answers { id, caller, sessions, clocks, client_limit, clock, request_timeout };
            let share = context.hub.share();
            Client { answers, context, outbox: &outbox, share, has_said_it }.run(&mut socket, shutdown).await
        }
        Err(ending) => ending,
    };
    debug!(%client, ?ending, "a WebSocket ended");
    outbox.close();
    socket.end(ending).await
}

/// A client that asked for a session.
struct Client<'l> {
    answers: Answers,
    context: &'l WsContext,
    outbox: &'l Outbox,
    /// The part of the time between the announcement of a stop and the stop that the client stays.
    share: f64,
    /// It has said in a message who it is, and is answered.
    has_said_it: bool,
}

impl Client<'_> {
    async fn run(&self, socket: &mut ClientSocket, mut shutdown: Shutdown) -> CloseReason {
        let joined = tokio::select! {
            joined = self.join() => joined,
            () = shutdown.begun() => Err(SHUTTING_DOWN),
        };
        // Dropped last: a client that leaves hears nothing more.
        let (_subscription, snapshot) = match joined {
            Ok(joined) => joined,
            Err(ending) => return ending,
        };
        let reader = ClientReader::new(&self.answers, self.context, self.outbox, snapshot);
        tokio::select! {
            ending = reader.run(socket, self.stop(&mut shutdown)) => ending,
            ending = self.deliver() => ending,
        }
    }

    /// Everything that is committed after the first message reaches the client.
    async fn join(&self) -> Result<(Subscription, Option<StateTag>), CloseReason> {
        let Subscribed { snapshot, countdown, now, subscription } = self.subscribe().await?;
        let id = self.answers.id;
        let tag = snapshot.as_ref().map(|snapshot| snapshot.tag);
        if let Some(tag) = tag {
            self.context.hub.seed(id, tag, countdown);
        }
        let sync = snapshot.map(|snapshot| (snapshot.tag, wire::sync(id, &snapshot.body, now)));
        let expires_at = self.answers.expires_at();
        self.outbox.open(wire::connected(id, expires_at, now), sync);
        if self.has_said_it {
            self.outbox.answer(wire::authenticated(expires_at, now));
        }
        Ok((subscription, tag))
    }

    /// Subscribes; a store that is busy or unavailable is asked again for a while, since many clients may come at once.
    async fn subscribe(&self) -> Result<Subscribed, CloseReason> {
        let until = tokio::time::Instant::now() + JOIN_PATIENCE;
        loop {
            match self.answers.sessions.subscribe(self.answers.id).await {
                Ok(watched) => return Ok(watched),
                Err(Failure::Store(StoreError::Unavailable(_))) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(JOIN_PAUSE).await;
                }
                Err(error) => {
                    debug!(session = %self.answers.id, ?error, "cannot subscribe to a session");
                    return Err(TRY_AGAIN);
                }
            }
        }
    }

    /// Waits until the connection is to be closed because the server stops. When that is announced clients leave evenly over
    /// the time until then, so that they do not all arrive elsewhere at once.
    async fn stop(&self, shutdown: &mut Shutdown) {
        let mut announced = shutdown.clone();
        let turn = async {
            let length = announced.announced().await;
            tokio::time::sleep(length.mul_f64(self.share)).await;
        };
        tokio::select! {
            () = shutdown.begun() => {}
            () = turn => {}
        }
    }

    /// Sends what the socket does not take at once.
    async fn deliver(&self) -> CloseReason {
        loop {
            match self.outbox.due().await {
                Due::Flush => tokio::select! {
                    flushed = self.outbox.flush() => match flushed {
                        Ok(()) => {}
                        Err(_) => return CloseReason::Gone,
                    },
                    () = self.outbox.given_up() => return self.too_slow(),
                    () = tokio::time::sleep(self.context.write_timeout) => return self.too_slow(),
                },
                Due::End(OutboxEnd::TooSlow) => return self.too_slow(),
                Due::End(OutboxEnd::Deleted) => return DELETED,
                Due::End(OutboxEnd::Interrupted) => return INTERRUPTED,
                // The client closes: its reader notices the end.
                Due::End(OutboxEnd::Closed) => std::future::pending().await,
            }
        }
    }

    fn too_slow(&self) -> CloseReason {
        self.context.hub.metrics.too_slow.inc();
        TOO_SLOW
    }
}
