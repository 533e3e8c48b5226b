//! Bodies: reads a request's with a limit and a deadline, and frames the pieces of an answer without joining them. Does not
//! know what is in them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};

use crate::problem::Problem;
use crate::store::{Bound, BytesBudget, HeldBytes, Metrics};
use crate::wire::BodyPieces;

/// The longest body that is read, in bytes.
pub(super) const LEN_MAX: usize = 1 << 20;
/// The longest frame of an answer, in bytes. A connection keeps the buffer in which frames are put one after the other
/// before they are written.
const FRAME_LEN_MAX: usize = 32 << 10;

/// A request's body; `None` when there is nothing left to read. A connection whose request has one when it is
/// answered is closed, since the beginning of the next request cannot be found.
pub(super) type UnreadBody = Option<Incoming>;

/// What a request brought, before anything of it was read.
pub(super) fn unread(body: Incoming) -> UnreadBody {
    (!body.is_end_stream()).then_some(body)
}

/// Where bodies that are on their way have room.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    pub(super) bytes: BytesBudget,
    /// Where it is counted that there was none.
    pub(super) metrics: Metrics,
}

/// A body, and the room that it takes as long as it is held.
#[derive(Default)]
pub(super) struct RequestBody {
    pub(super) bytes: Bytes,
    _room: Option<HeldBytes>,
}

/// Reads a request's body. One that arrives in one piece is not copied, and takes no more room than its connection's
/// own buffer; what is put together from more pieces takes it from `bodies`.
pub(super) async fn read(
    headers: &HeaderMap,
    unread: &mut UnreadBody,
    timeout: Duration,
    bodies: &Bodies,
) -> Result<RequestBody, Problem> {
    let Some(body) = unread else { return Ok(RequestBody::default()) };
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::encoded_body());
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LEN_MAX as u64) {
        return Err(Problem::body_too_large(LEN_MAX));
    }
    let mut has_trailers = false;
    let read = tokio::time::timeout(timeout, collect(body, &mut has_trailers, bodies)).await;
    let whole = read.unwrap_or_else(|_| Err(Problem::too_slow("The body did not arrive in time")))?;
    // Hyper ends trailers at an empty line, however it is made, so not everybody finds the same end.
    if !has_trailers {
        *unread = None;
    }
    Ok(whole)
}

async fn collect(body: &mut Incoming, has_trailers: &mut bool, bodies: &Bodies) -> Result<RequestBody, Problem> {
    let first = next(body, has_trailers).await?.unwrap_or_default();
    if body.is_end_stream() && first.len() <= LEN_MAX {
        return Ok(RequestBody { bytes: first, _room: None });
    }
    let mut held = bodies.bytes.none();
    let mut whole = BytesMut::new();
    let mut next_piece = Some(first);
    while whole.len() <= LEN_MAX {
        let Some(piece) = next_piece else { return Ok(RequestBody { bytes: whole.freeze(), _room: Some(held) }) };
        // A buffer grows by doubling: what it has beyond its bytes is held, too.
        let capacity = whole.capacity();
        whole.extend_from_slice(&piece);
        if !held.try_add(whole.capacity() - capacity) {
            bodies.metrics.refused(Bound::BodiesBytes);
            return Err(Problem::too_many_bodies());
        }
        next_piece = next(body, has_trailers).await?;
    }
    Err(Problem::body_too_large(LEN_MAX))
}

/// The next piece of data; trailers are passed over.
async fn next(body: &mut Incoming, has_trailers: &mut bool) -> Result<Option<Bytes>, Problem> {
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_) => *has_trailers = true,
            },
            Some(Err(_)) => return Err(Problem::broken_body()),
            None => return Ok(None),
        }
    }
}

/// An answer's body: up to three pieces, the middle one shared.
#[derive(Debug, Default)]
pub(super) struct Body(BodyPieces);

impl From<BodyPieces> for Body {
    fn from(pieces: BodyPieces) -> Self {
        Self(pieces)
    }
}

impl From<Bytes> for Body {
    fn from(whole: Bytes) -> Self {
        Self([whole, Bytes::new(), Bytes::new()])
    }
}

impl Body {
    /// All of it in one piece.
    pub(super) fn concat(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// How long it is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn left(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.0.iter_mut().find(|piece| !piece.is_empty()) else { return Poll::Ready(None) };
        let frame = piece.split_to(piece.len().min(FRAME_LEN_MAX));
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
