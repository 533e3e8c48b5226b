//! One client's socket, which two write to: the peer, through the WebSocket library, and whoever has news for many, straight
//! from the bytes that all of them share. A frame of either goes whole before the next one begins. Does not know what frames
//! say.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The longest head of a frame that a server sends (RFC 6455, section 5.2).
const HEAD_LEN_MAX: usize = 10;
/// The first byte of a frame that is a whole text.
const TEXT: u8 = 0x81;

/// What is written to.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<Writing>);

#[derive(Debug, Default)]
struct Writing {
    /// `None` before the client is there, and after it has gone.
    socket: Option<OwnedWriteHalf>,
    /// What a frame that was begun without the peer still has to be sent of.
    rest: Vec<u8>,
    /// The peer has begun a frame.
    is_begun: bool,
}

/// What became of a text that was to be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is on its way.
    Wholly,
    /// It is begun, and the peer must see to its end: whatever it writes or flushes sends that first.
    Partly,
    /// Nothing was sent of it: the client is behind, or gone.
    Not,
}

impl Line {
    /// Sends a text, if that can be done without waiting.
    pub(super) fn try_send(&self, text: &str) -> Sent {
        let mut writing = self.0.lock();
        let Writing { socket: Some(socket), rest, is_begun: false } = &mut *writing else { return Sent::Not };
        if !rest.is_empty() {
            return Sent::Not;
        }
        let (head, head_len) = head(text.len());
        let (head, text) = (&head[..head_len], text.as_bytes());
        match socket.try_write_vectored(&[IoSlice::new(head), IoSlice::new(text)]) {
            Ok(0) | Err(_) => Sent::Not,
            Ok(len) if len == head.len() + text.len() => Sent::Wholly,
            Ok(len) => {
                rest.extend_from_slice(&head[len.min(head.len())..]);
                rest.extend_from_slice(&text[len.saturating_sub(head.len())..]);
                Sent::Partly
            }
        }
    }
}

impl Writing {
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut OwnedWriteHalf>> {
        let socket = self.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        while !self.rest.is_empty() {
            match ready!(Pin::new(&mut *socket).poll_write(cx, &self.rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => drop(self.rest.drain(..len)),
            }
        }
        Poll::Ready(Ok(socket))
    }
}

/// The head of a text's frame, and its length.
fn head(len: usize) -> ([u8; HEAD_LEN_MAX], usize) {
    let mut head = [0; HEAD_LEN_MAX];
    head[0] = TEXT;
    let long = (len as u64).to_be_bytes();
    match len {
        0..=125 => head[1] = len as u8,
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&long[6..]);
        }
        _ => {
            head[1] = 127;
            head[2..].copy_from_slice(&long);
        }
    }
    let head_len = match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => HEAD_LEN_MAX,
    };
    (head, head_len)
}

/// The peer's side of the socket. The line is a part of what stands for the client.
#[derive(Debug)]
pub(super) struct Stream<C> {
    read: OwnedReadHalf,
    client: Arc<C>,
}

impl<C: AsRef<Line>> Stream<C> {
    /// From now on `tcp` is written to over the client's line too.
    pub(super) fn shared(tcp: TcpStream, client: Arc<C>) -> Self {
        let (read, write) = tcp.into_split();
        (*client).as_ref().0.lock().socket = Some(write);
        Self { read, client }
    }

    /// From now on nobody else writes.
    pub(super) fn into_inner(self) -> TcpStream {
        let write = self.writing().socket.take().expect("the socket is taken away once");
        self.read.reunite(write).expect("both are of one socket")
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        (*self.client).as_ref().0.lock()
    }
}

impl<C> AsyncRead for Stream<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

/// The library gives all that it has to write each time: what is taken as a whole ends with a frame.
impl<C: AsRef<Line>> AsyncWrite for Stream<C> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        let mut writing = self.writing();
        let written = match ready!(writing.poll_rest(cx)) {
            Ok(socket) => Pin::new(socket).poll_write(cx, frames),
            Err(error) => return Poll::Ready(Err(error)),
        };
        writing.is_begun = !matches!(written, Poll::Ready(Ok(len)) if len == frames.len());
        written
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
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::{HEAD_LEN_MAX, Line, Sent, Stream, head};

    impl AsRef<Line> for Line {
        fn as_ref(&self) -> &Line {
            self
        }
    }

    #[test]
    fn frames_have_the_heads_that_the_standard_gives_them() {
        for (len, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let (head, head_len) = head(len);
            assert_eq!(&head[..head_len], expected, "{len} bytes");
        }
    }

    /// The client reads nothing until its buffers are full, in the middle of a frame.
    #[tokio::test]
    async fn a_frame_goes_whole_whoever_writes_the_next_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let mut client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
        let (tcp, _) = listener.accept().await.expect("somebody connects");
        let line = Arc::new(Line::default());
        assert_eq!(line.try_send("early"), Sent::Not, "there is no socket");
        let mut peer = Stream::shared(tcp, Arc::clone(&line));

        let text = "x".repeat(100_000);
        let mut begun = 0;
        let last = loop {
            match line.try_send(&text) {
                Sent::Wholly => begun += 1,
                // The socket took the frames before it and nothing of this one.
                Sent::Not => tokio::task::yield_now().await,
                Sent::Partly => break begun + 1,
            }
        };
        assert_eq!(line.try_send("between"), Sent::Not, "a frame is begun");
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.expect("the socket is closed in order");
            all
        });
        peer.write_all(b"peer").await.expect("the client reads");
        assert_eq!(line.try_send("after"), Sent::Wholly);
        drop(peer.into_inner());
        assert_eq!(line.try_send("late"), Sent::Not, "the socket is gone");

        let all = reading.await.expect("nobody panics");
        let mut rest = &all[..];
        for frame in 0..last {
            let (head, expected) = rest.split_at(HEAD_LEN_MAX);
            assert_eq!(head[..2], [0x81, 127], "frame {frame}");
            assert!(expected.starts_with(text.as_bytes()), "frame {frame}");
            rest = &expected[text.len()..];
        }
        assert_eq!(rest, b"peer\x81\x05after");
    }

    #[tokio::test]
    async fn nobody_comes_between_what_the_peer_has_begun() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
        let (tcp, _) = listener.accept().await.expect("somebody connects");
        let line = Arc::new(Line::default());
        let mut peer = Stream::shared(tcp, Arc::clone(&line));
        let mut sent = 0;
        let whole = vec![b'y'; 64 << 20];
        // As much as the socket takes: something is left.
        while let Ok(len) = tokio::time::timeout(std::time::Duration::from_millis(50), peer.write(&whole[sent..])).await
        {
            sent += len.expect("the client is there");
        }
        assert!(sent > 0 && sent < whole.len());
        assert_eq!(line.try_send("between"), Sent::Not);
        drop(client);
    }
}
