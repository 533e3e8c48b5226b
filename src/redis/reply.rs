//! What Redis answers (RESP), and where an answer ends among the bytes that came. Strings are parts of those bytes. Does
//! not know what was asked.

use bytes::{Buf, Bytes};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// There is nothing.
    Nil,
    /// A number.
    Int(i64),
    /// A word, such as `OK`.
    Status(Bytes),
    /// A string.
    Text(Bytes),
    /// Several.
    List(Vec<Reply>),
    /// The command was refused: a code, and what else there is to say.
    Error(String),
}

/// Bytes that are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled;

/// How deep lists may stand in each other: none that we ask for goes beyond 4.
const DEPTH_MAX: u32 = 16;

impl Reply {
    /// The bytes of a string; empty when it is not one.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Reply::Status(bytes) | Reply::Text(bytes) => bytes,
            Reply::Nil | Reply::Int(_) | Reply::List(_) | Reply::Error(_) => Bytes::new(),
        }
    }

    /// A string; `None` when it is not one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Reply::Status(bytes) | Reply::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Reply::Nil | Reply::Int(_) | Reply::List(_) | Reply::Error(_) => None,
        }
    }

    /// A number, or a string that is one.
    pub fn number<N: std::str::FromStr + TryFrom<i64>>(&self) -> Option<N> {
        match self {
            Reply::Int(number) => N::try_from(*number).ok(),
            Reply::Status(_) | Reply::Text(_) => self.text()?.parse().ok(),
            Reply::Nil | Reply::List(_) | Reply::Error(_) => None,
        }
    }

    /// What a list consists of; empty when it is not one.
    pub fn list(&self) -> &[Reply] {
        match self {
            Reply::List(replies) => replies,
            Reply::Nil | Reply::Int(_) | Reply::Status(_) | Reply::Text(_) | Reply::Error(_) => &[],
        }
    }

    /// The same, taken apart.
    pub fn into_list(self) -> Vec<Reply> {
        match self {
            Reply::List(replies) => replies,
            Reply::Nil | Reply::Int(_) | Reply::Status(_) | Reply::Text(_) | Reply::Error(_) => Vec::new(),
        }
    }

    /// Why the command was refused, if it was.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Reply::Error(why) => Some(why),
            Reply::Nil | Reply::Int(_) | Reply::Status(_) | Reply::Text(_) | Reply::List(_) => None,
        }
    }

    /// Whether the command was carried out, or taken to be carried out later.
    pub fn is_ok(&self) -> bool {
        matches!(self, Reply::Status(word) if &word[..] == b"OK")
    }

    /// Takes so many from the front of the bytes.
    pub(super) fn take(bytes: &mut Bytes, count: usize) -> Result<Vec<Self>, Garbled> {
        Self::take_some(bytes, count, 0)
    }

    fn take_some(bytes: &mut Bytes, count: usize, depth: u32) -> Result<Vec<Self>, Garbled> {
        // No more than there are bytes, whatever is said.
        let mut all = Vec::with_capacity(count.min(bytes.len()));
        for _ in 0..count {
            all.push(Self::take_at(bytes, depth)?);
        }
        Ok(all)
    }

    fn take_at(bytes: &mut Bytes, depth: u32) -> Result<Self, Garbled> {
        let end = line_end(bytes).ok_or(Garbled)?;
        let line = bytes.split_to(end);
        bytes.advance(2);
        let (kind, said) = line.split_first().ok_or(Garbled)?;
        Ok(match kind {
            b'+' => Reply::Status(line.slice(1..)),
            b'-' => Reply::Error(String::from_utf8_lossy(said).into_owned()),
            b':' => Reply::Int(signed(said)?),
            b'$' => match length(said)? {
                None => Reply::Nil,
                Some(length) if bytes.len() >= length + 2 => {
                    let text = bytes.split_to(length);
                    bytes.advance(2);
                    Reply::Text(text)
                }
                Some(_) => return Err(Garbled),
            },
            b'*' => match length(said)? {
                None => Reply::Nil,
                Some(_) if depth == DEPTH_MAX => return Err(Garbled),
                Some(count) => Reply::List(Self::take_some(bytes, count, depth + 1)?),
            },
            _ => return Err(Garbled),
        })
    }
}

/// Looks for the end of answers among bytes that are still coming, none of them twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seeker {
    /// Where to go on.
    at: usize,
    /// Parts of the present answer that are still to come; 0 between answers.
    left: usize,
}

impl Seeker {
    /// Where the next answer ends; `None` when that has not come yet.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Garbled> {
        self.left = self.left.max(1);
        while self.left > 0 {
            let rest = &bytes[self.at.min(bytes.len())..];
            let Some(end) = line_end(rest) else { return Ok(None) };
            let (kind, said) = rest[..end].split_first().ok_or(Garbled)?;
            let (behind, more) = match kind {
                b'+' | b'-' | b':' => (0, 0),
                b'$' => (length(said)?.map_or(0, |length| length + 2), 0),
                b'*' => (0, length(said)?.unwrap_or(0)),
                _ => return Err(Garbled),
            };
            if rest.len() < end + 2 + behind {
                return Ok(None);
            }
            self.at += end + 2 + behind;
            self.left = self.left - 1 + more;
        }
        Ok(Some(self.at))
    }
}

/// Where the first line ends, before its CR and LF.
fn line_end(bytes: &[u8]) -> Option<usize> {
    // Most are a few bytes long, which is not worth a search.
    let end = bytes.iter().position(|byte| *byte == b'\r')?;
    (end + 1 < bytes.len()).then_some(end)
}

/// The length of what follows; `None` when there is nothing.
fn length(digits: &[u8]) -> Result<Option<usize>, Garbled> {
    match signed(digits)? {
        -1 => Ok(None),
        // Redis itself has no strings beyond 512 MB, nor as many things in a list.
        length @ 0..=0x2000_0000 => Ok(Some(length as usize)),
        _ => Err(Garbled),
    }
}

fn signed(digits: &[u8]) -> Result<i64, Garbled> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Garbled)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Garbled, Reply, Seeker};

    fn end(bytes: &[u8]) -> Result<Option<usize>, Garbled> {
        Seeker::default().end(bytes)
    }

    fn text(text: &'static str) -> Reply {
        Reply::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn is_read_from_its_bytes_and_ends_where_it_ends() {
        for (bytes, expected) in [
            ("+OK\r\n", Reply::Status(Bytes::from_static(b"OK"))),
            ("-MOVED 1 a:2\r\n", Reply::Error("MOVED 1 a:2".to_owned())),
            (":-12\r\n", Reply::Int(-12)),
            ("$-1\r\n", Reply::Nil),
            ("*-1\r\n", Reply::Nil),
            ("$0\r\n\r\n", text("")),
            ("$4\r\na\r\nb\r\n", text("a\r\nb")),
            ("*0\r\n", Reply::List(Vec::new())),
            (
                "*3\r\n*2\r\n$1\r\na\r\n$-1\r\n:7\r\n-ERR no\r\n",
                Reply::List(vec![
                    Reply::List(vec![text("a"), Reply::Nil]),
                    Reply::Int(7),
                    Reply::Error("ERR no".to_owned()),
                ]),
            ),
        ] {
            let more = format!("{bytes}:1\r\n");
            assert_eq!(end(more.as_bytes()), Ok(Some(bytes.len())), "{bytes:?}");
            for part in 0..bytes.len() {
                assert_eq!(end(&bytes.as_bytes()[..part]), Ok(None), "{bytes:?} to {part}");
            }
            let mut seeker = Seeker::default();
            let found: Vec<_> = (0..=more.len()).map(|come| seeker.end(&more.as_bytes()[..come])).collect();
            let ends: Vec<_> = found.into_iter().flatten().flatten().collect();
            assert_eq!(ends, [bytes.len(), more.len()], "{bytes:?}, byte by byte");
            let mut rest = Bytes::from(more);
            assert_eq!(Reply::take(&mut rest, 1), Ok(vec![expected]), "{bytes:?}");
            assert_eq!(&rest[..], b":1\r\n", "{bytes:?}");
        }
    }

    #[test]
    fn is_garbled_when_it_is_nothing_of_redis() {
        for bytes in ["HTTP/1.1 400 Bad Request\r\n", "\r\n", "$x\r\n", "$-2\r\n", "*99999999999\r\n", "\x15\x03\r\n"] {
            assert_eq!(end(bytes.as_bytes()), Err(Garbled), "{bytes:?}");
        }
        let deep = Bytes::from(format!("{}:1\r\n", "*1\r\n".repeat(100)));
        assert_eq!(Reply::take(&mut deep.clone(), 1), Err(Garbled));
    }
}
