//! One client on a WebSocket: joins its session, is sent what its outbox holds, and has its messages
//! answered. Does not know other clients.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tracing::debug;

use crate::client_address::ClientAddress;
use crate::engine::{Command, Precondition, Refusal, SessionId};
use crate::problem::Problem;
use crate::sessions::{Failure, Request, Seen};
use crate::shutdown::Shutdown;
use crate::store::{Arrival, Watch};
use crate::wire::{self, Asked, Inbound, Order, Problems, Text};

use super::Live;
use super::line::Stream;
use super::outbox::{Outbox, Outgoing};
use super::upgrade::Invitation;

/// The longest message of a client, in bytes.
const MESSAGE_LEN_MAX: usize = 16 * 1_024;
/// What is read at once, in bytes; allocated for every connection.
const READ_LEN: usize = 1_024;
/// What may wait to be written, in bytes: the largest state and then some.
const WRITE_LEN_MAX: usize = 1_024 * 1_024;
/// How long a client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a client until either side ends it; gives the socket back for closing.
pub async fn serve(
    tcp: TcpStream,
    read: Bytes,
    client: ClientAddress,
    invitation: Invitation,
    live: &Live,
    shutdown: Shutdown,
) -> TcpStream {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_LEN)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_LEN_MAX)
        .max_message_size(Some(MESSAGE_LEN_MAX))
        .max_frame_size(Some(MESSAGE_LEN_MAX));
    let outbox = Arc::new(Outbox::default());
    let stream = Stream::shared(tcp, Arc::clone(&outbox));
    let stream = WebSocketStream::from_partially_read(stream, read.into(), Role::Server, Some(config)).await;
    let mut socket = Socket { stream, write_timeout: live.write_timeout, shutdown };
    let ending = match invitation.0 {
        Ok(id) => {
            let _member = live.hub.join(id, Arc::clone(&outbox));
            Peer { id, client, live, outbox: &outbox }.run(&mut socket).await
        }
        Err(why) => Ending::Close(CloseCode::Policy, why),
    };
    debug!(%client, ?ending, "a WebSocket ended");
    if let Ending::Close(code, reason) = ending {
        socket.close(code, reason).await;
    }
    socket.stream.into_inner().into_inner()
}

/// What happens next on a connection.
enum Next {
    /// The outbox has something for the client.
    Send(Outgoing),
    /// The client said something, or is gone.
    Hear(Option<Result<Message, Error>>),
    /// The client must show that it is there.
    Beat,
    /// The server stops.
    Stop,
}

/// How a connection ends.
#[derive(Debug)]
enum Ending {
    /// The client closed it or is gone.
    Gone,
    /// The server closes it, and says why.
    Close(CloseCode, &'static str),
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => Ending::Close(CloseCode::Size, "Message too big"),
            Error::Protocol(_) | Error::AttackAttempt => Ending::Close(CloseCode::Protocol, "Protocol error"),
            Error::Utf8(_) => Ending::Close(CloseCode::Invalid, "Text must be UTF-8"),
            Error::WriteBufferFull(_) => TOO_SLOW,
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
            | Error::Tls(_)
            | Error::Url(_)
            | Error::Http(_)
            | Error::HttpFormat(_) => Ending::Gone,
        }
    }
}

const TOO_SLOW: Ending = Ending::Close(CloseCode::Again, "Too slow");
const SHUTTING_DOWN: Ending = Ending::Close(CloseCode::Away, "Server shutting down");

/// The stream with deadlines on what is written.
struct Socket {
    stream: WebSocketStream<Stream<Outbox>>,
    write_timeout: Duration,
    shutdown: Shutdown,
}

impl Socket {
    async fn send(&mut self, message: Message) -> Result<(), Ending> {
        in_time(self.stream.send(message), self.write_timeout, &mut self.shutdown).await
    }

    /// Waits until everything is on its way.
    async fn flush(&mut self) -> Result<(), Ending> {
        in_time(self.stream.flush(), self.write_timeout, &mut self.shutdown).await
    }

    async fn say(&mut self, json: Bytes) -> Result<(), Ending> {
        let text = Utf8Bytes::try_from(json).expect("messages are JSON, which is UTF-8");
        self.send(Message::Text(text)).await
    }

    /// Says why, then waits a little for the client to agree.
    async fn close(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let closing = async {
            self.stream.send(Message::Close(Some(frame))).await?;
            while let Some(message) = self.stream.next().await {
                message?;
            }
            Ok::<_, Error>(())
        };
        // However it ends, the socket goes.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

async fn in_time(
    sent: impl Future<Output = Result<(), Error>>,
    limit: Duration,
    shutdown: &mut Shutdown,
) -> Result<(), Ending> {
    tokio::select! {
        biased;
        sent = sent => sent.map_err(Ending::from),
        () = tokio::time::sleep(limit) => Err(TOO_SLOW),
        () = shutdown.begun() => Err(SHUTTING_DOWN),
    }
}

/// A client that asked for a session.
struct Peer<'l> {
    id: SessionId,
    client: ClientAddress,
    live: &'l Live,
    outbox: &'l Outbox,
}

impl Peer<'_> {
    async fn run(&self, socket: &mut Socket) -> Ending {
        let watch = match self.join(socket).await {
            Ok(watch) => watch,
            Err(ending) => return ending,
        };
        let mut heartbeat = heartbeat(self.live.heartbeat);
        let mut answered = true;
        // Waited for once, and not anew for each message.
        let mut shutdown = socket.shutdown.clone();
        let mut stop = std::pin::pin!(shutdown.begun());
        let ending = loop {
            // What was sent and heard goes before the heartbeat: an answer that waits to be read is one.
            let next = tokio::select! {
                biased;
                () = &mut stop => Next::Stop,
                next = async {
                    tokio::select! {
                        outgoing = self.outbox.next() => Next::Send(outgoing),
                        message = socket.stream.next() => Next::Hear(message),
                    }
                } => next,
                _ = heartbeat.tick() => Next::Beat,
            };
            if !matches!(next, Next::Send(_)) {
                self.outbox.hold();
            }
            let step = match next {
                Next::Send(outgoing) => self.deliver(socket, outgoing).await,
                Next::Hear(Some(Ok(Message::Pong(_)))) => {
                    answered = true;
                    Ok(())
                }
                Next::Hear(Some(Ok(message))) => self.hear(socket, message).await,
                Next::Hear(Some(Err(error))) => Err(error.into()),
                Next::Beat if std::mem::take(&mut answered) => socket.send(Message::Ping(Bytes::new())).await,
                Next::Hear(None) | Next::Beat => Err(Ending::Gone),
                Next::Stop => Err(SHUTTING_DOWN),
            };
            if let Err(ending) = step {
                break ending;
            }
        };
        drop(watch);
        ending
    }

    /// Everything that is committed after the first message reaches the client.
    async fn join(&self, socket: &mut Socket) -> Result<Watch, Ending> {
        let watched = self.live.sessions.asked_by(self.client).watch(self.id).await.map_err(|error| {
            debug!(session = %self.id, ?error, "cannot watch a session");
            Ending::Close(CloseCode::Again, "Try again later")
        })?;
        socket.say(wire::connected(self.id, watched.now)).await?;
        if let Some(snapshot) = &watched.snapshot {
            self.live.hub.prime(self.id, snapshot.tag, watched.countdown);
            self.outbox.caught_up(snapshot.tag);
            socket.say(wire::sync(self.id, &snapshot.members, watched.now)).await?;
        }
        Ok(watched.watch)
    }

    async fn deliver(&self, socket: &mut Socket, outgoing: Outgoing) -> Result<(), Ending> {
        match outgoing {
            Outgoing::State(_, text) | Outgoing::Notice(text) => socket.send(Message::Text(text)).await,
            Outgoing::Deleted(text) => {
                socket.send(Message::Text(text)).await?;
                Err(Ending::Close(CloseCode::Normal, "Session deleted"))
            }
            Outgoing::Rest => socket.flush().await,
            Outgoing::TooSlow => Err(TOO_SLOW),
        }
    }

    async fn hear(&self, socket: &mut Socket, message: Message) -> Result<(), Ending> {
        let text = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            // The library answers it, and the end of the stream follows.
            Message::Close(_) => {
                self.outbox.close();
                return Ok(());
            }
            // The library answers the first.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(()),
        };
        let arrival = self.live.sessions.arrive(self.id);
        let answer = self.answer(&text, arrival).await;
        socket.say(answer).await
    }

    /// The session's deadline waits for whoever holds an arrival: nobody but a command does.
    async fn answer(&self, text: &[u8], arrival: Arrival) -> Bytes {
        match wire::inbound(text) {
            Ok(Inbound::Order(order)) => self.carry_out(order, arrival).await,
            Ok(Inbound::Ping { timestamp }) => self.pong(timestamp, arrival).await,
            Ok(Inbound::Reconnect) => {
                drop(arrival);
                self.sync().await
            }
            Err(why) => wire::invalid_message(&why),
        }
    }

    async fn pong(&self, client_timestamp: Option<&str>, arrival: Arrival) -> Bytes {
        let received_at = arrival.at();
        drop(arrival);
        match self.live.sessions.now().await {
            Ok(now) => wire::pong(client_timestamp, received_at, now),
            Err(error) => failed(&error.into()),
        }
    }

    async fn sync(&self) -> Bytes {
        match self.live.sessions.asked_by(self.client).read(self.id).await {
            Ok(Seen { snapshot, now }) => {
                self.outbox.caught_up(snapshot.tag);
                wire::sync(self.id, &snapshot.members, now)
            }
            Err(failure) => failed(&failure.into()),
        }
    }

    async fn carry_out(&self, order: Order, arrival: Arrival) -> Bytes {
        let arrived = arrival.at();
        match self.ask(order.order, arrival).await {
            Ok(answer) => wire::result_data(&order.request_id, 200, &answer),
            Err(problem) => {
                let now = self.live.sessions.now().await.unwrap_or(arrived);
                wire::result_error(&order.request_id, problem.status, &problem.json(), now)
            }
        }
    }

    async fn ask(&self, order: Result<Asked, Problems>, arrival: Arrival) -> Result<Text, Problem> {
        // A limit that cannot be counted lets through.
        let quota = self.live.sessions.count(self.client).await.unwrap_or_default();
        if quota.is_some_and(|quota| quota.is_exceeded()) {
            return Err(Problem::too_many_requests());
        }
        let (command, version) = order.map_err(Problem::invalid)?;
        let is_switch = matches!(command, Command::Switch { .. });
        let precondition = Precondition { one_of: None, version };
        let request = Request { precondition, client: Some(self.client), ..command.into() };
        let sessions = self.live.sessions.asked_by(self.client);
        let asked = timeout(self.live.request_timeout, sessions.change(self.id, arrival, request));
        let done = asked.await.map_err(|_| Problem::unknown_outcome())?.result?;
        match &done.record {
            Some(record) if is_switch => Ok(wire::switched(record.session(), record.encoded(), done.outcome, done.now)),
            Some(record) => Ok(wire::session(record.encoded().members(), done.now)),
            None => Err(self.not_found()),
        }
    }

    fn not_found(&self) -> Problem {
        Failure::Refused(self.id, Refusal::NotFound).into()
    }
}

/// A problem of a message that has no name to answer to.
fn failed(problem: &Problem) -> Bytes {
    wire::message_error(problem.code, &problem.message)
}

fn heartbeat(period: Duration) -> Interval {
    let mut heartbeat = interval_at(tokio::time::Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}
