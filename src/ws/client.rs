//! One client on a WebSocket: joins its session, then hears what it says and sends what it does not take at once, at the same
//! time. Does not know other clients.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;
use tracing::debug;

use crate::caller::Caller;
use crate::engine::StateTag;
use crate::sessions::{Failure, SessionView};
use crate::shutdown::Shutdown;
use crate::store::{StoreError, Subscribed, Subscription};
use crate::wire::{self, ClientMessage};

use super::WsContext;
use super::allowance::Allowance;
use super::answers::Answers;
use super::outbox::{Due, Outbox};
use super::queue::OutboxEnd;
use super::socket::{ClientSocket, CloseReason, DELETED, INTERRUPTED, SHUTTING_DOWN, TOO_SLOW, TRY_AGAIN};
use super::upgrade::UpgradeRequest;

/// How long a client that wants to join waits for a store that is busy or away.
const JOIN_PATIENCE: Duration = Duration::from_secs(5);
/// How long until it is tried again.
const JOIN_PAUSE: Duration = Duration::from_millis(50);
/// A client that asks for the state again before this is answered when it is over, unless something changed.
const SYNC_PERIOD: Duration = Duration::from_secs(1);
/// How long a state that was read waits for the updates up to it.
const HEARD_PATIENCE: Duration = Duration::from_millis(500);
/// How often a state is read again that was overtaken meanwhile.
const SYNC_TRIES: usize = 3;

/// Serves a client until either side ends it; gives the socket back for closing.
pub async fn serve(
    tcp: TcpStream,
    read: Bytes,
    caller: Caller,
    upgrade: UpgradeRequest,
    live: &WsContext,
    shutdown: Shutdown,
) -> TcpStream {
    let outbox = live.hub.outbox();
    let mut socket = ClientSocket::new(tcp, read, &outbox).await;
    let ending = match upgrade.0 {
        Ok(id) => {
            let _member = live.hub.join(id, Arc::clone(&outbox));
            let sessions = live.sessions.asked_by(caller.address());
            let (clocks, client_limit) = (Arc::clone(&live.clocks), live.client_limit.clone());
            let answers = Answers { id, caller, sessions, clocks, client_limit, request_timeout: live.request_timeout };
            Client { answers, live, outbox: &outbox, share: live.hub.share() }.run(&mut socket, shutdown).await
        }
        Err(why) => CloseReason::refused(why),
    };
    debug!(client = %caller, ?ending, "a WebSocket ended");
    outbox.close();
    socket.end(ending).await
}

/// A client that asked for a session.
struct Client<'l> {
    answers: Answers,
    live: &'l WsContext,
    outbox: &'l Outbox,
    /// The part of the time between the announcement of a stop and the stop that the client stays.
    share: f64,
}

impl Client<'_> {
    async fn run(&self, socket: &mut ClientSocket, mut shutdown: Shutdown) -> CloseReason {
        let joined = tokio::select! {
            joined = self.join() => joined,
            () = shutdown.begun() => Err(SHUTTING_DOWN),
        };
        // Dropped last: whoever leaves hears nothing more.
        let (_watch, snapshot) = match joined {
            Ok(joined) => joined,
            Err(ending) => return ending,
        };
        let ear = ClientReader {
            peer: self,
            allowance: Allowance::new(self.live.answer_bytes_per_s, tokio::time::Instant::now()),
            synced: snapshot.map(|tag| (tokio::time::Instant::now(), Some(tag))),
            sync_at: None,
        };
        tokio::select! {
            ending = ear.hear(socket, shutdown) => ending,
            ending = self.deliver() => ending,
        }
    }

    /// Everything that is committed after the first message reaches the client.
    async fn join(&self) -> Result<(Subscription, Option<StateTag>), CloseReason> {
        let Subscribed { snapshot, countdown, now, subscription } = self.subscribe().await?;
        let id = self.answers.id;
        let tag = snapshot.as_ref().map(|snapshot| snapshot.tag);
        if let Some(tag) = tag {
            self.live.hub.seed(id, tag, countdown);
        }
        let sync = snapshot.map(|snapshot| (snapshot.tag, wire::sync(id, &snapshot.members, now)));
        self.outbox.open(wire::connected(id, now), sync);
        Ok((subscription, tag))
    }

    /// Many who come at once wait for each other, and not in vain.
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
                    () = tokio::time::sleep(self.live.write_timeout) => return self.too_slow(),
                },
                Due::OutboxEnd(OutboxEnd::TooSlow) => return self.too_slow(),
                Due::OutboxEnd(OutboxEnd::Deleted) => return DELETED,
                Due::OutboxEnd(OutboxEnd::Interrupted) => return INTERRUPTED,
                // The client closes: whoever hears it sees to the end.
                Due::OutboxEnd(OutboxEnd::Closed) => std::future::pending().await,
            }
        }
    }

    fn too_slow(&self) -> CloseReason {
        self.live.hub.metrics.too_slow.inc();
        TOO_SLOW
    }
}

/// What is heard of a client, and what it may ask for.
struct ClientReader<'p, 'l> {
    peer: &'p Client<'l>,
    allowance: Allowance,
    /// When the client was last told the state, and which.
    synced: Option<(tokio::time::Instant, Option<StateTag>)>,
    /// When it must be told again.
    sync_at: Option<tokio::time::Instant>,
}

/// What happens next on a connection.
enum Next {
    /// The client said something.
    Heard(Result<Message, CloseReason>),
    /// The client asked for the state, and has waited long enough.
    Sync,
    /// The client must show that it is there.
    Beat,
    /// The server stops.
    Stop,
}

impl ClientReader<'_, '_> {
    /// Hears one message after the other, each when the one before is answered and the answer is on its way.
    async fn hear(mut self, socket: &mut ClientSocket, mut shutdown: Shutdown) -> CloseReason {
        let Client { live, outbox, .. } = *self.peer;
        let mut heartbeat = heartbeat(live.heartbeat);
        // Who could not be asked is not given up before it was asked once more.
        let (mut is_answered, mut is_excused) = (true, false);
        // Waited for once, and not anew for each message.
        let mut stop = pin!(self.peer.stop(&mut shutdown));
        loop {
            let may_hear = async {
                outbox.answered().await;
                if let Some(wait) = self.allowance.wait(tokio::time::Instant::now()) {
                    tokio::time::sleep(wait).await;
                }
            };
            let sync_at = self.sync_at;
            let sync = async {
                match sync_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // What was heard goes before the heartbeat: an answer that waits to be read is one.
            let next = tokio::select! {
                biased;
                () = &mut stop => Next::Stop,
                next = async {
                    may_hear.await;
                    tokio::select! {
                        biased;
                        () = sync => Next::Sync,
                        message = socket.next() => Next::Heard(message),
                        _ = heartbeat.tick() => Next::Beat,
                    }
                } => next,
            };
            match next {
                Next::Stop => return SHUTTING_DOWN,
                Next::Sync => self.sync().await,
                Next::Beat if outbox.is_blocked() => is_excused = true,
                Next::Beat if is_answered || std::mem::take(&mut is_excused) => is_answered = !outbox.ping(),
                Next::Beat => return CloseReason::Gone,
                Next::Heard(Ok(Message::Pong(_))) => is_answered = true,
                Next::Heard(Ok(message)) => self.take_in(message).await,
                Next::Heard(Err(ending)) => return ending,
            }
        }
    }

    async fn take_in(&mut self, message: Message) {
        let text = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            // The library answers it, and the end of the stream follows.
            Message::Close(_) => return self.peer.outbox.close(),
            // The library answers the first.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return self.allowance.spend(0),
        };
        let answers = &self.peer.answers;
        let arrival = self.peer.live.sessions.arrive(answers.id);
        let answer = match wire::read_client_message(&text) {
            Ok(ClientMessage::Command(command)) => answers.result(command, arrival).await,
            Ok(ClientMessage::Ping { timestamp }) => answers.pong(timestamp, arrival).await,
            Ok(ClientMessage::Reconnect) => {
                drop(arrival);
                self.allowance.spend(0);
                return self.asked_to_sync().await;
            }
            Err(why) => {
                drop(arrival);
                wire::invalid_message(&why)
            }
        };
        self.answer(answer);
    }

    fn answer(&mut self, answer: Bytes) {
        self.allowance.spend(answer.len());
        self.peer.outbox.answer(answer);
    }

    /// Who asks again within a second, and nothing has changed, is answered once when it is over.
    async fn asked_to_sync(&mut self) {
        match self.synced {
            Some((at, tag)) if at.elapsed() < SYNC_PERIOD && self.peer.outbox.newest() <= tag => {
                self.sync_at = Some(at + SYNC_PERIOD);
            }
            Some(_) | None => self.sync().await,
        }
    }

    /// Tells the state. Updates up to it go before, unless they do not come.
    async fn sync(&mut self) {
        self.sync_at = None;
        let Client { answers, outbox, .. } = self.peer;
        let mut seen = answers.state().await;
        for _ in 1..SYNC_TRIES {
            let Ok(SessionView { snapshot, .. }) = &seen else { break };
            let _ = timeout(HEARD_PATIENCE, outbox.heard(snapshot.tag)).await;
            if outbox.newest() <= Some(snapshot.tag) {
                break;
            }
            seen = answers.state().await;
        }
        let tag = match seen {
            Ok(SessionView { snapshot, now, .. }) => {
                let sync = wire::sync(answers.id, &snapshot.members, now);
                self.allowance.spend(sync.len());
                outbox.sync(snapshot.tag, sync);
                Some(snapshot.tag)
            }
            Err(error) => {
                self.answer(error);
                None
            }
        };
        self.synced = Some((tokio::time::Instant::now(), tag));
    }
}

fn heartbeat(period: Duration) -> Interval {
    let mut heartbeat = interval_at(tokio::time::Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}
