//! A frame on its way to one client (RFC 6455, section 5.2): a head of its own, then bytes that many clients share. Knows
//! what is left of it; does not know sockets.

use std::io::IoSlice;

use crate::wire;

use super::budget::QueuedMessage;

/// The longest head of a frame that a server sends.
const HEAD_LEN_MAX: usize = 10;
/// The first byte of a frame that is a whole text.
const TEXT: u8 = 0x81;
/// The first byte of a ping.
const PING: u8 = 0x89;

/// What is left of a frame, or of several that the WebSocket library has made.
#[derive(Debug)]
pub(super) struct Frame {
    head: [u8; HEAD_LEN_MAX],
    head_len: usize,
    /// What is this client's alone.
    own: Vec<u8>,
    /// What all share, without as many bytes at its beginning.
    shared: Option<(QueuedMessage, usize)>,
    written: usize,
}

impl Frame {
    /// A message.
    pub(super) fn text(message: QueuedMessage) -> Self {
        Self::new(TEXT, Vec::new(), Some((message, 0)))
    }

    /// A STATE_UPDATE that takes the place of so many others.
    pub(super) fn update(message: QueuedMessage, skipped: u64) -> Self {
        if skipped == 0 {
            return Self::text(message);
        }
        let (own, replaced) = wire::skipping(message.bytes(), skipped);
        Self::new(TEXT, own, Some((message, replaced)))
    }

    /// Asks the client to show that it is there; says nothing.
    pub(super) fn ping() -> Self {
        Self::new(PING, Vec::new(), None)
    }

    /// The end of what the library has written.
    pub(super) fn rest(of: &[u8]) -> Self {
        Self { head: [0; HEAD_LEN_MAX], head_len: 0, own: of.to_vec(), shared: None, written: 0 }
    }

    fn new(first: u8, own: Vec<u8>, shared: Option<(QueuedMessage, usize)>) -> Self {
        let shared_len = shared.as_ref().map_or(0, |(message, replaced)| message.bytes().len() - replaced);
        let (head, head_len) = head(first, own.len() + shared_len);
        Self { head, head_len, own, shared, written: 0 }
    }

    /// What is still to be written.
    pub(super) fn pieces(&self) -> [IoSlice<'_>; 3] {
        let mut skip = self.written;
        self.all().map(|piece| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            IoSlice::new(&piece[skipped..])
        })
    }

    /// How long that is.
    pub(super) fn len(&self) -> usize {
        self.all().iter().map(|piece| piece.len()).sum::<usize>() - self.written
    }

    /// So much more was written; returns whether that was all.
    pub(super) fn advance(&mut self, len: usize) -> bool {
        self.written += len;
        self.len() == 0
    }

    fn all(&self) -> [&[u8]; 3] {
        let shared = self.shared.as_ref().map_or(&[][..], |(message, replaced)| &message.bytes()[*replaced..]);
        [&self.head[..self.head_len], &self.own, shared]
    }
}

/// The head of a frame, and its length.
fn head(first: u8, len: usize) -> ([u8; HEAD_LEN_MAX], usize) {
    let mut head = [0; HEAD_LEN_MAX];
    head[0] = first;
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prometheus_client::metrics::gauge::Gauge;

    use super::super::budget::{OutboxBudget, QueuedMessage};
    use super::{Frame, TEXT, head};

    #[test]
    fn frames_have_the_heads_that_the_standard_gives_them() {
        for (len, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let (head, head_len) = head(TEXT, len);
            assert_eq!(&head[..head_len], expected, "{len} bytes");
        }
    }

    /// What is left after each byte.
    fn written(mut frame: Frame) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let pieces = frame.pieces();
            let next = pieces.iter().find_map(|piece| piece.first().copied()).expect("something is left");
            all.push(next);
            if frame.advance(1) {
                return all;
            }
        }
    }

    #[test]
    fn a_frame_can_be_written_in_any_pieces() {
        let message = |text: &'static str| {
            QueuedMessage::new(Bytes::from_static(text.as_bytes()), &OutboxBudget::new(0, Gauge::default()))
        };
        let update = r#"{"type":"STATE_UPDATE","state":{}}"#;
        assert_eq!(written(Frame::text(message("{}"))), b"\x81\x02{}");
        assert_eq!(written(Frame::update(message(update), 0))[2..], *update.as_bytes());
        let skipped = written(Frame::update(message(update), 12));
        assert_eq!(skipped[2..], *br#"{"type":"STATE_UPDATE","skipped":12,"state":{}}"#);
        assert_eq!(usize::from(skipped[1]), skipped.len() - 2);
        assert_eq!(written(Frame::ping()), b"\x89\x00");
        assert_eq!(written(Frame::rest(b"any")), b"any");
    }
}
