//! Who comes in: a client that did not say who it is with its handshake says so in its first message. Until then nothing is sent to
//! it, and nothing is asked of the store. Does not know what it does afterwards.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::auth::{Action, Permission};
use crate::caller::{Authentication, Caller};
use crate::engine::SessionId;
use crate::shutdown::Shutdown;
use crate::wire::{self, ClientMessage};

use super::context::WsContext;
use super::socket::{ClientSocket, CloseReason, FORBIDDEN, NOT_AUTHENTICATED, SHUTTING_DOWN};
use super::upgrade::Entrance;

/// How long a client may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client that may watch its session.
pub(super) struct AdmittedClient {
    pub(super) caller: Caller,
    /// It has said in a message who it is.
    pub(super) has_said_it: bool,
}

/// Waits until a client may come in, or says why it may not.
pub(super) async fn admit(
    socket: &mut ClientSocket,
    id: SessionId,
    caller: Caller,
    entrance: Entrance,
    context: &WsContext,
    shutdown: &mut Shutdown,
) -> Result<AdmittedClient, CloseReason> {
    match entrance {
        Entrance::Admitted => Ok(AdmittedClient { caller, has_said_it: false }),
        Entrance::Refused(error) => Err(error.into()),
        Entrance::Forbidden => Err(FORBIDDEN),
        // Its place is free when it has come in.
        Entrance::Awaited(_place) => {
            let said = tokio::select! {
                biased;
                () = shutdown.begun() => return Err(SHUTTING_DOWN),
                said = timeout(PATIENCE, first_message(socket)) => said.unwrap_or(Err(NOT_AUTHENTICATED))?,
            };
            let caller = identify(&said, &caller, context).await?;
            caller.permit(id, Action::Use(Permission::Watch))?;
            Ok(AdmittedClient { caller, has_said_it: true })
        }
    }
}

/// The first message of a client.
async fn first_message(socket: &mut ClientSocket) -> Result<Bytes, CloseReason> {
    loop {
        match socket.next().await? {
            Message::Text(text) => return Ok(text.into()),
            Message::Binary(bytes) => return Ok(bytes),
            // The library answers it, and the end of the stream follows.
            Message::Close(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// Who a client says it is; it says nothing else first.
async fn identify(said: &[u8], caller: &Caller, context: &WsContext) -> Result<Caller, CloseReason> {
    let (Ok(ClientMessage::Auth { token }), Some(authenticator)) =
        (wire::read_client_message(said), &context.authenticator)
    else {
        return Err(NOT_AUTHENTICATED);
    };
    let identity = authenticator.identify_in_time(&token, caller.address()).await?;
    Ok(Caller::new(caller.address(), Authentication::Identified(identity)))
}
