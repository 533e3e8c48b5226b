//! One client's socket, which has two writers: the fan-out, straight from the bytes that all clients share, and the WebSocket
//! library, which answers pings and closes. A frame of either goes whole before the next one begins. Does not know what frames
//! say.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use super::frame::Frame;

/// What is written to.
#[derive(Debug, Default)]
pub(super) struct SharedWriter {
    writing: Mutex<Writing>,
    /// There is something to do for the task that flushes.
    due: Notify,
}

#[derive(Debug, Default)]
struct Writing {
    /// `None` before the client is there, and after it has gone.
    socket: Option<OwnedWriteHalf>,
    /// What was begun, and is still to be sent.
    begun: Option<Frame>,
}

/// What became of a frame that was to be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is on its way.
    Wholly,
    /// It is begun, and [`SharedWriter::poll_flush`] sends the rest.
    Begun,
    /// Nothing was sent of it: the client is behind, or gone.
    Not,
}

impl SharedWriter {
    /// Sends a frame, if that can be begun without waiting.
    pub(super) fn try_send(&self, mut frame: Frame) -> Sent {
        let mut writing = self.writing.lock();
        let Writing { socket: Some(socket), begun: begun @ None } = &mut *writing else { return Sent::Not };
        match socket.try_write_vectored(&frame.pieces()) {
            Ok(0) | Err(_) => Sent::Not,
            Ok(len) if frame.advance(len) => Sent::Wholly,
            Ok(_) => {
                *begun = Some(frame);
                Sent::Begun
            }
        }
    }

    /// Sends frames in one go, as far as that can be begun without waiting; returns how many were, and what became of the
    /// next one, or the last.
    pub(super) fn try_send_all(&self, frames: Vec<Frame>) -> (usize, Sent) {
        let mut writing = self.writing.lock();
        let Writing { socket: Some(socket), begun: begun @ None } = &mut *writing else { return (0, Sent::Not) };
        let pieces: Vec<_> = frames.iter().flat_map(Frame::pieces).collect();
        let mut left = match socket.try_write_vectored(&pieces) {
            Ok(len) => len,
            Err(_) => return (0, Sent::Not),
        };
        for (place, mut frame) in frames.into_iter().enumerate() {
            if left == 0 {
                return (place, Sent::Not);
            }
            let taken = left.min(frame.len());
            left -= taken;
            if !frame.advance(taken) {
                *begun = Some(frame);
                return (place + 1, Sent::Begun);
            }
        }
        (usize::MAX, Sent::Wholly)
    }

    /// Begins a frame whether or not the socket takes it; returns whether it is begun, since only one can be.
    pub(super) fn begin(&self, frame: Frame) -> bool {
        let mut writing = self.writing.lock();
        let is_first = writing.begun.is_none();
        if is_first {
            writing.begun = Some(frame);
        }
        is_first
    }

    /// Waits until what was begun is on its way and the socket takes more.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut writing = self.writing.lock();
        let socket = ready!(writing.poll_rest(cx))?;
        socket.as_ref().poll_write_ready(cx)
    }

    /// Whether a frame is begun.
    pub(super) fn is_begun(&self) -> bool {
        self.writing.lock().begun.is_some()
    }

    /// There is something to do.
    pub(super) fn notify_due(&self) {
        self.due.notify_one();
    }

    /// Waits until there is something to do; one may wait at a time.
    pub(super) async fn notified_due(&self) {
        self.due.notified().await;
    }
}

impl Writing {
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut OwnedWriteHalf>> {
        let socket = self.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        while let Some(frame) = &mut self.begun {
            match ready!(Pin::new(&mut *socket).poll_write_vectored(cx, &frame.pieces()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len if frame.advance(len) => self.begun = None,
                _ => {}
            }
        }
        Poll::Ready(Ok(socket))
    }
}

/// The library's side of the socket; the writer is a part of the client's outbox.
#[derive(Debug)]
pub(super) struct SharedStream<C> {
    read: OwnedReadHalf,
    client: Arc<C>,
}

impl<C: AsRef<SharedWriter>> SharedStream<C> {
    /// From now on `tcp` is written to by the client's writer too.
    pub(super) fn shared(tcp: TcpStream, client: Arc<C>) -> Self {
        let (read, write) = tcp.into_split();
        (*client).as_ref().writing.lock().socket = Some(write);
        Self { read, client }
    }

    /// Takes the socket back: from now on nothing else writes.
    pub(super) fn into_inner(self) -> TcpStream {
        let write = self.writing().socket.take().expect("the socket is taken away once");
        self.read.reunite(write).expect("both are of one socket")
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        (*self.client).as_ref().writing.lock()
    }
}

impl<C> AsyncRead for SharedStream<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

/// The library gives whole frames, and what is taken of them is taken whole: no other frame comes between, and the library need not
/// be asked again.
impl<C: AsRef<SharedWriter>> AsyncWrite for SharedStream<C> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        let mut writing = self.writing();
        let socket = ready!(writing.poll_rest(cx))?;
        let len = ready!(Pin::new(socket).poll_write(cx, frames))?;
        if len < frames.len() {
            writing.begun = Some(Frame::rest(&frames[len..]));
            (*self.client).as_ref().notify_due();
        }
        Poll::Ready(Ok(frames.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.writing().poll_rest(cx))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use bytes::Bytes;
    use prometheus_client::metrics::gauge::Gauge;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::budget::{OutboxBudget, QueuedMessage};
    use super::super::frame::Frame;
    use super::{Sent, SharedStream, SharedWriter};

    impl AsRef<SharedWriter> for SharedWriter {
        fn as_ref(&self) -> &SharedWriter {
            self
        }
    }

    fn frame(text: &'static str) -> Frame {
        Frame::text(QueuedMessage::new(Bytes::from_static(text.as_bytes()), &OutboxBudget::new(0, Gauge::default())))
    }

    async fn connected(line: &Arc<SharedWriter>) -> (SharedStream<SharedWriter>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
        let (tcp, _) = listener.accept().await.expect("somebody connects");
        (SharedStream::shared(tcp, Arc::clone(line)), client)
    }

    /// The client reads nothing until its buffers are full, in the middle of a frame.
    #[tokio::test]
    async fn a_frame_goes_whole_whoever_writes_the_next_one() {
        let line = Arc::new(SharedWriter::default());
        assert_eq!(line.try_send(frame("early")), Sent::Not, "there is no socket");
        let (mut library, mut client) = connected(&line).await;

        let text: &str = Box::leak("x".repeat(100_000).into_boxed_str());
        let mut begun = 0;
        let last = loop {
            match line.try_send(frame(text)) {
                Sent::Wholly => begun += 1,
                // The socket took the frames before it and nothing of this one.
                Sent::Not => tokio::task::yield_now().await,
                Sent::Begun => break begun + 1,
            }
        };
        assert!(line.is_begun());
        assert_eq!(line.try_send(frame("between")), Sent::Not, "a frame is begun");
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.expect("the socket is closed in order");
            all
        });
        poll_fn(|cx| line.poll_flush(cx)).await.expect("the client reads");
        assert!(!line.is_begun());
        library.write_all(b"library").await.expect("the client reads");
        assert_eq!(line.try_send(frame("after")), Sent::Wholly);
        drop(library.into_inner());
        assert_eq!(line.try_send(frame("late")), Sent::Not, "the socket is gone");

        let all = reading.await.expect("nobody panics");
        let mut rest = &all[..];
        for frame in 0..last {
            let (head, expected) = rest.split_at(10);
            assert_eq!(head[..2], [0x81, 127], "frame {frame}");
            assert!(expected.starts_with(text.as_bytes()), "frame {frame}");
            rest = &expected[text.len()..];
        }
        assert_eq!(rest, b"library\x81\x05after");
    }

    /// What it gives is taken as a whole, although the socket takes a part.
    #[tokio::test]
    async fn nobody_comes_between_what_the_library_has_begun() {
        let line = Arc::new(SharedWriter::default());
        let (mut library, mut client) = connected(&line).await;
        let whole = vec![b'y'; 64 << 20];
        assert_eq!(library.write(&whole).await.expect("the client is there"), whole.len());
        assert!(line.is_begun());
        line.notified_due().await;
        assert_eq!(line.try_send(frame("between")), Sent::Not);
        let reading = tokio::spawn(async move {
            let mut all = vec![0; 64 << 20];
            client.read_exact(&mut all).await.expect("it is sent");
            all
        });
        poll_fn(|cx| line.poll_flush(cx)).await.expect("the client reads");
        assert!(reading.await.expect("nobody panics") == whole);
        drop(library);
    }
}
