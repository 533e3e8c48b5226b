//! Byte streams between tasks of one scheduler: what is written at one end is read at the other after a while, in order,
//! until the connection is cut. Does not know what is said.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::dice::Dice;
use crate::scheduler::{Scheduler, Sleep};

/// One end of a connection.
pub struct Stream {
    scheduler: Scheduler,
    incoming: Direction,
    outgoing: Direction,
    /// Until the next bytes are here.
    arrival: Option<Sleep>,
}

/// A connection that can be cut. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Connection([Direction; 2]);

/// How long bytes are on their way.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// At least.
    pub least: Duration,
    /// At most.
    pub most: Duration,
}

#[derive(Clone)]
struct Direction(Arc<Mutex<Pipe>>);

struct Pipe {
    dice: Dice,
    latency: Latency,
    /// Bytes on their way.
    pieces: VecDeque<Piece>,
    /// When the last piece is there: none overtakes it.
    last: Duration,
    end: Option<End>,
    reader: Option<Waker>,
}

/// Bytes that arrive together.
struct Piece {
    arrives: Duration,
    bytes: Vec<u8>,
    /// How many of them have been read.
    read: usize,
}

/// How a direction ends, once all that is on its way has been read.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Cut,
}

/// A connection, and its two ends.
pub fn connection(scheduler: &Scheduler, latency: Latency) -> (Connection, Stream, Stream) {
    let direction = || {
        Direction(Arc::new(Mutex::new(Pipe {
            dice: scheduler.dice(),
            latency,
            pieces: VecDeque::new(),
            last: Duration::ZERO,
            end: None,
            reader: None,
        })))
    };
    let (there, back) = (direction(), direction());
    let stream = |incoming: &Direction, outgoing: &Direction| Stream {
        scheduler: scheduler.clone(),
        incoming: incoming.clone(),
        outgoing: outgoing.clone(),
        arrival: None,
    };
    let ends = (stream(&back, &there), stream(&there, &back));
    (Connection([there, back]), ends.0, ends.1)
}

/// Where one end writes. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Writer {
    scheduler: Scheduler,
    outgoing: Direction,
}

impl Writer {
    /// Sends bytes, all together.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub fn write(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.outgoing.write(self.scheduler.now(), bytes)
    }
}

impl Stream {
    /// Where this end writes.
    pub fn writer(&self) -> Writer {
        Writer { scheduler: self.scheduler.clone(), outgoing: self.outgoing.clone() }
    }
}

impl Connection {
    /// Cuts it: what is on its way is lost, and both ends find that the connection was reset.
    pub fn cut(&self) {
        for direction in &self.0 {
            direction.end(End::Cut);
        }
    }
}

impl Direction {
    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, now: Duration, bytes: Vec<u8>) -> io::Result<()> {
        let mut pipe = self.pipe();
        if pipe.end.is_some() {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let arrives = (now + pipe.delay()).max(pipe.last);
        pipe.last = arrives;
        pipe.pieces.push_back(Piece { arrives, bytes, read: 0 });
        let reader = pipe.reader.take();
        drop(pipe);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn end(&self, end: End) {
        let mut pipe = self.pipe();
        if matches!(end, End::Cut) {
            pipe.pieces.clear();
        }
        pipe.end.get_or_insert(end);
        let reader = pipe.reader.take();
        drop(pipe);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let mut pipe = this.incoming.pipe();
            let arrives = match (pipe.pieces.front(), pipe.end) {
                (Some(piece), _) => piece.arrives,
                (None, Some(End::Closed)) => return Poll::Ready(Ok(())),
                (None, Some(End::Cut)) => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                (None, None) => {
                    pipe.reader = Some(context.waker().clone());
                    return Poll::Pending;
                }
            };
            if arrives <= this.scheduler.now() {
                let Some(piece) = pipe.pieces.front_mut() else { continue };
                let left = &piece.bytes[piece.read..];
                let len = left.len().min(buffer.remaining());
                buffer.put_slice(&left[..len]);
                piece.read += len;
                if piece.read == piece.bytes.len() {
                    pipe.pieces.pop_front();
                }
                return Poll::Ready(Ok(()));
            }
            // It is woken when it is cut, too.
            pipe.reader = Some(context.waker().clone());
            drop(pipe);
            let left = arrives.saturating_sub(this.scheduler.now());
            let arrival = this.arrival.insert(this.scheduler.sleep(left));
            if Pin::new(arrival).poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.outgoing.write(self.scheduler.now(), bytes.to_vec()).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.end(End::Closed);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    /// Whoever leaves closes its direction, and hears no more.
    fn drop(&mut self) {
        self.outgoing.end(End::Closed);
        self.incoming.end(End::Cut);
    }
}

impl Pipe {
    fn delay(&mut self) -> Duration {
        let span = self.latency.most.saturating_sub(self.latency.least);
        let steps = u64::try_from(span.as_micros()).unwrap_or(u64::MAX - 1);
        self.latency.least + Duration::from_micros(self.dice.below(steps + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Latency, connection};
    use crate::scheduler::Scheduler;

    const MS: Duration = Duration::from_millis(1);

    /// What one end reads of three pieces that the other writes, and when; it is cut after some time.
    fn heard(cut_after: Duration) -> Vec<(String, u128)> {
        let scheduler = Scheduler::new(7);
        let (link, mut one, mut other) = connection(&scheduler, Latency { least: 3 * MS, most: 3 * MS });
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (writer, reader, all) = (scheduler.clone(), scheduler.clone(), Arc::clone(&heard));
        scheduler.process().spawn(async move {
            for piece in ["a", "b", "c"] {
                let _ = one.write_all(piece.as_bytes()).await;
                writer.sleep(2 * MS).await;
            }
        });
        scheduler.process().spawn(async move {
            let mut piece = [0; 8];
            loop {
                let said = match other.read(&mut piece).await {
                    Ok(0) => "end".to_owned(),
                    Ok(len) => String::from_utf8_lossy(&piece[..len]).into_owned(),
                    Err(error) => error.kind().to_string(),
                };
                let is_over = said.len() > 1;
                all.lock().expect("nobody panics").push((said, reader.now().as_millis()));
                if is_over {
                    break;
                }
            }
        });
        scheduler.run_for(cut_after);
        link.cut();
        scheduler.run_for(100 * MS);
        heard.lock().expect("nobody panics").clone()
    }

    #[test]
    fn what_is_written_is_read_later_in_order() {
        let all = [("a", 3), ("b", 5), ("c", 7), ("end", 7)].map(|(said, at)| (said.to_owned(), at));
        assert_eq!(heard(50 * MS), all);
    }

    #[test]
    fn what_is_on_its_way_is_lost_when_it_is_cut() {
        assert_eq!(heard(4 * MS), [("a".to_owned(), 3), ("connection reset".to_owned(), 4)]);
    }
}
