//! One connection from accept to close: requests one after the other, then perhaps a WebSocket. Knows
//! deadlines and how to close; does not know what is asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tracing::debug;

use crate::clock::Clock;
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::supervision::panic_point;
use crate::ws;

use super::admission::ConnectionScope;
use super::connection_state::{ConnectionState, Overdue};
use super::linger;
use super::peer::Peer;
use super::service::Service;
use super::socket::{TrackedBody, TrackedSocket};
use super::surface::Surface;

/// How long what a client does may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// How long a connection may wait for a request; for the first one at most as long as its head may take.
    pub idle_timeout: Duration,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How long its body may take.
    pub body_timeout: Duration,
    /// How long its answer may take.
    pub request_timeout: Duration,
}

/// What connections share.
pub(super) struct ServerContext {
    pub(super) service: Service,
    pub(super) websockets: ws::WsContext,
    pub(super) timeouts: Timeouts,
    pub(super) clock: Clock,
}

/// The longest head of a request, in bytes.
const HEAD_LEN_MAX: usize = 16 * 1_024;
/// How long a connection in the reserve may take to ask.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a client until either side ends it.
pub(super) async fn serve(
    tcp: TcpStream,
    peer: Peer,
    scope: ConnectionScope,
    surface: Surface,
    shared: Arc<ServerContext>,
    mut shutdown: Shutdown,
) {
    panic_point("connection", "");
    let Some((mut tcp, ending)) = requests(tcp, peer, scope, surface, &shared, &mut shutdown).await else { return };
    let mut last_words = Vec::new();
    match ending {
        ConnectionEnd::Done => {}
        ConnectionEnd::Refused(problem) => last_words = shared.service.refuse(&problem),
        ConnectionEnd::Upgrade(upgrade, read) => {
            tcp = ws::serve(tcp, read, *upgrade, &shared.websockets, shutdown).await;
        }
    }
    Box::pin(linger::close(tcp, &last_words)).await;
}

/// How the requests of a connection end.
enum ConnectionEnd {
    /// Nothing more to say.
    Done,
    /// What the client sent last is no head of a request, or only the beginning of one.
    Refused(Problem),
    /// The client goes on as a WebSocket, and has sent this already.
    Upgrade(Box<ws::UpgradeRequest>, bytes::Bytes),
}

/// Answers requests; `None` when the connection is lost.
async fn requests(
    tcp: TcpStream,
    peer: Peer,
    scope: ConnectionScope,
    surface: Surface,
    shared: &ServerContext,
    shutdown: &mut Shutdown,
) -> Option<(TcpStream, ConnectionEnd)> {
    let client = peer.address();
    let state = Arc::new(ConnectionState::new(shared.clock.clone()));
    let (upgrade, context) = (Mutex::new(None), shared.service.connection(peer, scope, surface));
    let service = service_fn(|request| {
        let (state, upgrade, context) = (&state, &upgrade, &context);
        async move {
            let arrived_at = state.busy();
            let answer = shared.service.answer(context, request, arrived_at).await;
            if answer.upgrade.is_some() {
                *upgrade.lock() = answer.upgrade;
            }
            state.answering(answer.at);
            Ok::<_, Infallible>(answer.response.map(|body| TrackedBody::new(body, Arc::clone(state))))
        }
    });
    let mut connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        // The default of 100 headers stays: the library writes space for any other number anew for each request.
        .max_buf_size(HEAD_LEN_MAX)
        // An answer's head and pieces are put together: one write of a kilobyte costs less than one of four pieces.
        .writev(false)
        .serve_connection(TokioIo::new(TrackedSocket::new(tcp, &state)), service);

    let (idle, head) = match scope {
        ConnectionScope::All => (shared.timeouts.idle_timeout, shared.timeouts.head_timeout),
        ConnectionScope::Probes => (shared.timeouts.idle_timeout, shared.timeouts.head_timeout.min(PROBE_TIMEOUT)),
    };
    let mut timer = std::pin::pin!(tokio::time::sleep(idle.min(head)));
    let mut stopping = false;
    let ending = loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                let Err(error) = ended else { break ConnectionEnd::Done };
                debug!(%client, %error, "a connection ended early");
                break refusal(&error).filter(|_| state.is_between_requests()).map_or(ConnectionEnd::Done, ConnectionEnd::Refused);
            }
            () = &mut timer => match state.check(idle, head) {
                Ok(left) => timer.as_mut().reset(tokio::time::Instant::now() + left),
                Err(Overdue::Head) => {
                    break ConnectionEnd::Refused(Problem::too_slow("The head of the request did not arrive in time"));
                }
                Err(Overdue::Request) => break match scope {
                    ConnectionScope::All => ConnectionEnd::Done,
                    ConnectionScope::Probes => ConnectionEnd::Refused(Problem::too_many_connections()),
                },
            },
            () = shutdown.begun(), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let tcp = parts.io.into_inner().into_inner();
    let upgrade = upgrade.lock().take();
    Some(match (upgrade, ending) {
        (Some(upgrade), ConnectionEnd::Done) => (tcp, ConnectionEnd::Upgrade(Box::new(upgrade), parts.read_buf)),
        (_, ending) => (tcp, ending),
    })
}

/// The answer to a head that hyper could not read, if the client can still be sent one.
fn refusal(error: &hyper::Error) -> Option<Problem> {
    if error.is_parse_too_large() {
        Some(Problem::head_too_large())
    } else if error.is_parse() {
        Some(Problem::bad_request("This is no HTTP/1.1 request"))
    } else if error.is_incomplete_message() {
        Some(Problem::bad_request("The head of the request has no end"))
    } else {
        None
    }
}
