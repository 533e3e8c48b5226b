//! Where a connection stands: waiting for a request, in the middle of its head, or busy with it; and how
//! long it may stay there. One timer watches it all, looked at when it might matter and never reset by a
//! request. Does not know what is read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clock::{Clock, Moment};

/// The phase of one connection and since when it has been in it.
#[derive(Debug)]
pub(super) struct Phase {
    clock: Clock,
    start: Moment,
    /// Milliseconds since `start`, and the phase in the lowest two bits.
    now: AtomicU64,
}

const WAITING: u64 = 0;
const HEAD: u64 = 1;
const BUSY: u64 = 2;

/// What a connection has waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A request.
    Request,
    /// The rest of a request's head.
    Head,
}

impl Phase {
    /// Waiting for the first request.
    pub(super) fn new(clock: Clock) -> Self {
        let start = clock.moment();
        Self { clock, start, now: AtomicU64::new(WAITING) }
    }

    /// A request's head was read to its end.
    pub(super) fn busy(&self) {
        self.now.store(BUSY, Ordering::Relaxed);
    }

    /// A request was answered.
    pub(super) fn waiting(&self) {
        self.now.store(self.elapsed_ms() << 2 | WAITING, Ordering::Relaxed);
    }

    /// Something was read: the beginning of a head, if nothing else was under way.
    fn read(&self) {
        if self.now.load(Ordering::Relaxed) & 3 == WAITING {
            self.now.store(self.elapsed_ms() << 2 | HEAD, Ordering::Relaxed);
        }
    }

    /// What the connection has waited for too long, or how long it may still wait at least.
    pub(super) fn check(&self, idle: Duration, head: Duration) -> Result<Duration, Overdue> {
        let now = self.now.load(Ordering::Relaxed);
        let since = Duration::from_millis(self.elapsed_ms().saturating_sub(now >> 2));
        let left = |limit: Duration, overdue| limit.checked_sub(since).filter(|left| !left.is_zero()).ok_or(overdue);
        match now & 3 {
            WAITING => left(idle, Overdue::Request).map(|left| left.min(head)),
            HEAD => left(head, Overdue::Head),
            _ => Ok(head),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        self.clock.moment().since(self.start).as_millis() as u64
    }
}

/// A socket that tells its phase when something is read.
#[derive(Debug)]
pub(super) struct Socket<'c> {
    tcp: TcpStream,
    phase: &'c Phase,
}

impl<'c> Socket<'c> {
    pub(super) fn new(tcp: TcpStream, phase: &'c Phase) -> Self {
        Self { tcp, phase }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.tcp
    }
}

impl AsyncRead for Socket<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.phase.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
