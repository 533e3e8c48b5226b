//! What a client sends, one message after the other: commands, PINGs and RECONNECTs are answered, and a client that answers no
//! heartbeat is gone. A client that asks for much is read later. Does not know what else its outbox holds.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::auth::AuthError;
use crate::engine::StateTag;
use crate::problem::Problem;
use crate::sessions::SessionView;
use crate::wire::{self, ClientMessage};

use super::allowance::Allowance;
use super::answers::Answers;
use super::context::WsContext;
use super::identity_watch::{IdentityEvent, IdentityWatch};
use super::outbox::Outbox;
use super::socket::{ClientSocket, CloseReason, FORBIDDEN, SHUTTING_DOWN, TOKEN_EXPIRED, TOKEN_REVOKED};

/// A client that asks for the state again before this is answered when it is over, unless something changed.
const SYNC_PERIOD: Duration = Duration::from_secs(1);
/// How long a state that was read waits for the updates up to it.
const DELIVERY_PATIENCE: Duration = Duration::from_millis(500);
/// How often a state is read again that was overtaken meanwhile.
const SYNC_TRIES: usize = 3;

/// Reads one client's messages.
pub(super) struct ClientReader<'c> {
    answers: &'c Answers,
    context: &'c WsContext,
    outbox: &'c Outbox,
    allowance: Allowance,
    /// When the client was last sent the state, and which.
    synced: Option<(tokio::time::Instant, Option<StateTag>)>,
    /// When it must be sent again.
    sync_at: Option<tokio::time::Instant>,
}

/// What happens next on a connection.
enum Next {
    /// The client sent something.
    Message(Result<Message, CloseReason>),
    /// The client asked for the state, and has waited long enough.
    Sync,
    /// The client must show that it is there.
    Beat,
    /// Something became of who the client is.
    Identity(IdentityEvent),
    /// The server stops.
    Stop,
}

impl<'c> ClientReader<'c> {
    /// A reader for a client that has just been sent the state `snapshot`, if there is one.
    pub(super) fn new(
        answers: &'c Answers,
        context: &'c WsContext,
        outbox: &'c Outbox,
        snapshot: Option<StateTag>,
    ) -> Self {
        let now = tokio::time::Instant::now();
        let allowance = Allowance::new(context.answer_bytes_per_s, now);
        Self { answers, context, outbox, allowance, synced: snapshot.map(|tag| (now, Some(tag))), sync_at: None }
    }

    /// Reads one message after the other until `stop`, each when the one before is answered and the answer is on its way.
    pub(super) async fn run(mut self, socket: &mut ClientSocket, stop: impl Future<Output = ()>) -> CloseReason {
        let outbox = self.outbox;
        let mut heartbeat = heartbeat(self.context.heartbeat);
        // A client that could not be pinged is not given up before it was pinged once more.
        let (mut is_answered, mut is_excused) = (true, false);
        // One future for all messages, instead of one for each.
        let mut stop = pin!(stop);
        let mut identity = self.identity_watch();
        loop {
            let may_read = async {
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
            // Messages go before the heartbeat: one that waits to be read shows that the client is there.
            let next = tokio::select! {
                biased;
                () = &mut stop => Next::Stop,
                event = next_event(&mut identity) => Next::Identity(event),
                next = async {
                    may_read.await;
                    tokio::select! {
                        biased;
                        () = sync => Next::Sync,
                        message = socket.next() => Next::Message(message),
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
                Next::Message(Ok(Message::Pong(_))) => is_answered = true,
                Next::Message(Ok(message)) => {
                    if let Err(ending) = self.handle(message, &mut identity).await {
                        return ending;
                    }
                }
                Next::Identity(IdentityEvent::Expired) => return TOKEN_EXPIRED,
                Next::Identity(IdentityEvent::Revoked) => return TOKEN_REVOKED,
                Next::Identity(IdentityEvent::Expiring) => {
                    let now = self.answers.now().await;
                    outbox.answer(wire::token_expiring(self.answers.expires_at(), now));
                }
                Next::Message(Err(ending)) => return ending,
            }
        }
    }

    /// Who the client is, where that can change.
    fn identity_watch(&self) -> Option<IdentityWatch> {
        let identity = self.answers.caller.lock().identity().cloned()?;
        Some(IdentityWatch::new(self.context.authenticator.as_ref()?, identity, self.answers.id))
    }

    async fn handle(&mut self, message: Message, identity: &mut Option<IdentityWatch>) -> Result<(), CloseReason> {
        let text = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            // The library answers it, and the end of the stream follows.
            Message::Close(_) => {
                self.outbox.close();
                return Ok(());
            }
            // The library answers the first.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                self.allowance.spend(0);
                return Ok(());
            }
        };
        let answers = self.answers;
        let arrival = self.context.sessions.arrive(answers.id);
        let answer = match wire::read_client_message(&text) {
            Ok(ClientMessage::Command(command)) => answers.result(command, arrival).await,
            Ok(ClientMessage::Ping { timestamp }) => answers.pong(timestamp, arrival).await,
            Ok(ClientMessage::Reconnect) => {
                drop(arrival);
                self.allowance.spend(0);
                self.asked_to_sync().await;
                return Ok(());
            }
            Ok(ClientMessage::Auth { token }) => {
                drop(arrival);
                self.renew(&token, identity).await?
            }
            Err(why) => {
                drop(arrival);
                wire::invalid_message(&why)
            }
        };
        self.answer(answer);
        Ok(())
    }

    /// The client says anew who it is. What is no credential changes nothing; another one's ends the connection.
    async fn renew(&self, token: &str, watch: &mut Option<IdentityWatch>) -> Result<Bytes, CloseReason> {
        let Some(authenticator) = &self.context.authenticator else {
            return Ok(wire::authenticated(None, self.answers.now().await));
        };
        let address = self.answers.caller.lock().address();
        let id = self.answers.id;
        let identified = authenticator.identify_in_time(token, address).await;
        let identified = match identified {
            Ok(identity) if identity.is_revoked_in(id) => Err(AuthError::Revoked),
            Ok(_) | Err(_) => identified,
        };
        match identified {
            Ok(renewed) if self.answers.renew(&renewed) => {
                if let Some(watch) = watch {
                    watch.renew(renewed);
                }
                Ok(wire::authenticated(self.answers.expires_at(), self.answers.now().await))
            }
            Ok(_) => Err(FORBIDDEN),
            Err(error @ (AuthError::TooMany | AuthError::Unavailable(_) | AuthError::RevocationsUnknown)) => {
                let problem = Problem::unauthenticated(&error);
                Ok(wire::message_error(problem.code, &problem.message))
            }
            Err(error) => {
                let message = Problem::unauthenticated(&error).message;
                Ok(wire::message_error("INVALID_TOKEN", &message))
            }
        }
    }

    fn answer(&mut self, answer: Bytes) {
        self.allowance.spend(answer.len());
        self.outbox.answer(answer);
    }

    /// A client that asks again within a second, while nothing has changed, is answered once when the second is over.
    async fn asked_to_sync(&mut self) {
        match self.synced {
            Some((at, tag)) if at.elapsed() < SYNC_PERIOD && self.outbox.newest() <= tag => {
                self.sync_at = Some(at + SYNC_PERIOD);
            }
            Some(_) | None => self.sync().await,
        }
    }

    /// Sends the state. Updates up to it go before, unless they do not come.
    async fn sync(&mut self) {
        self.sync_at = None;
        let (answers, outbox) = (self.answers, self.outbox);
        let mut seen = answers.state().await;
        for _ in 1..SYNC_TRIES {
            let Ok(SessionView { snapshot, .. }) = &seen else { break };
            let _ = timeout(DELIVERY_PATIENCE, outbox.delivered(snapshot.tag)).await;
            if outbox.newest() <= Some(snapshot.tag) {
                break;
            }
            seen = answers.state().await;
        }
        let tag = match seen {
            Ok(SessionView { snapshot, now, .. }) => {
                let sync = wire::sync(answers.id, &snapshot.body, now);
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

/// What becomes next of who a client is.
async fn next_event(watch: &mut Option<IdentityWatch>) -> IdentityEvent {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

fn heartbeat(period: Duration) -> Interval {
    let mut heartbeat = interval_at(tokio::time::Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}
