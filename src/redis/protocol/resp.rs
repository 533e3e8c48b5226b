//! The protocol of Redis (RESP 2): values, and where a frame ends among the bytes that were received. Strings share
//! those bytes. Does not know what was asked.

use bytes::{Buf, Bytes};

/// A reply, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A null string or array.
    Nil,
    /// An integer.
    Int(i64),
    /// A simple string, such as `OK`.
    Status(Bytes),
    /// A bulk string.
    Text(Bytes),
    /// An array.
    List(Vec<Value>),
    /// An error: a code and a message.
    Error(String),
}

/// Bytes that are not RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolError;

/// How deep arrays may nest; no reply that we ask for goes beyond 4.
const DEPTH_MAX: u32 = 16;

impl Value {
    /// The bytes of a string; empty when it is not one.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Value::Status(bytes) | Value::Text(bytes) => bytes,
            Value::Nil | Value::Int(_) | Value::List(_) | Value::Error(_) => Bytes::new(),
        }
    }

    /// A string; `None` when it is not one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Status(bytes) | Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Value::Nil | Value::Int(_) | Value::List(_) | Value::Error(_) => None,
        }
    }

    /// A number, or a string that is one.
    pub fn number<N: std::str::FromStr + TryFrom<i64>>(&self) -> Option<N> {
        match self {
            Value::Int(number) => N::try_from(*number).ok(),
            Value::Status(_) | Value::Text(_) => self.text()?.parse().ok(),
            Value::Nil | Value::List(_) | Value::Error(_) => None,
        }
    }

    /// The values of an array; empty when it is not one.
    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(replies) => replies,
            Value::Nil | Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::Error(_) => &[],
        }
    }

    /// The values of an array, by value; empty when it is not one.
    pub fn into_list(self) -> Vec<Value> {
        match self {
            Value::List(replies) => replies,
            Value::Nil | Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::Error(_) => Vec::new(),
        }
    }

    /// The error, if it is one.
    pub fn error(&self) -> Option<&str> {
        match self {
            Value::Error(why) => Some(why),
            Value::Nil | Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// Whether it is the simple string `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Value::Status(word) if &word[..] == b"OK")
    }

    /// Decodes `count` values from the front of the bytes.
    pub fn decode(bytes: &mut Bytes, count: usize) -> Result<Vec<Self>, ProtocolError> {
        Self::decode_some(bytes, count, 0)
    }

    fn decode_some(bytes: &mut Bytes, count: usize, depth: u32) -> Result<Vec<Self>, ProtocolError> {
        // No more than there are bytes, whatever is said.
        let mut all = Vec::with_capacity(count.min(bytes.len()));
        for _ in 0..count {
            all.push(Self::decode_at(bytes, depth)?);
        }
        Ok(all)
    }

    fn decode_at(bytes: &mut Bytes, depth: u32) -> Result<Self, ProtocolError> {
        let end = line_end(bytes).ok_or(ProtocolError)?;
        let line = bytes.split_to(end);
        bytes.advance(2);
        let (kind, said) = line.split_first().ok_or(ProtocolError)?;
        Ok(match kind {
            b'+' => Value::Status(line.slice(1..)),
            b'-' => Value::Error(String::from_utf8_lossy(said).into_owned()),
            b':' => Value::Int(signed(said)?),
            b'$' => match length(said)? {
                None => Value::Nil,
                Some(length) if bytes.len() >= length + 2 => {
                    let text = bytes.split_to(length);
                    bytes.advance(2);
                    Value::Text(text)
                }
                Some(_) => return Err(ProtocolError),
            },
            b'*' => match length(said)? {
                None => Value::Nil,
                Some(_) if depth == DEPTH_MAX => return Err(ProtocolError),
                Some(count) => Value::List(Self::decode_some(bytes, count, depth + 1)?),
            },
            _ => return Err(ProtocolError),
        })
    }
}

/// Finds the ends of frames among bytes that are still coming, and looks at each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameScanner {
    /// Where the scan continues.
    at: usize,
    /// Values of the present frame that are still to come; 0 between frames.
    left: usize,
}

impl FrameScanner {
    /// Where the next frame ends; `None` when its end has not come yet.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        self.left = self.left.max(1);
        while self.left > 0 {
            let rest = &bytes[self.at.min(bytes.len())..];
            let Some(end) = line_end(rest) else { return Ok(None) };
            let (kind, said) = rest[..end].split_first().ok_or(ProtocolError)?;
            let (behind, more) = match kind {
                b'+' | b'-' | b':' => (0, 0),
                b'$' => (length(said)?.map_or(0, |length| length + 2), 0),
                b'*' => (0, length(said)?.unwrap_or(0)),
                _ => return Err(ProtocolError),
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

/// The length of what follows; `None` for a null.
fn length(digits: &[u8]) -> Result<Option<usize>, ProtocolError> {
    match signed(digits)? {
        -1 => Ok(None),
        // Redis itself has no strings beyond 512 MB, nor as many things in a list.
        length @ 0..=0x2000_0000 => Ok(Some(length as usize)),
        _ => Err(ProtocolError),
    }
}

fn signed(digits: &[u8]) -> Result<i64, ProtocolError> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(ProtocolError)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::FrameScanner;
    use super::ProtocolError;
    use super::Value;

    fn end(bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        FrameScanner::default().end(bytes)
    }

    fn text(text: &'static str) -> Value {
        Value::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn is_read_from_its_bytes_and_ends_where_it_ends() {
        for (bytes, expected) in [
            ("+OK\r\n", Value::Status(Bytes::from_static(b"OK"))),
            ("-MOVED 1 a:2\r\n", Value::Error("MOVED 1 a:2".to_owned())),
            (":-12\r\n", Value::Int(-12)),
            ("$-1\r\n", Value::Nil),
            ("*-1\r\n", Value::Nil),
            ("$0\r\n\r\n", text("")),
            ("$4\r\na\r\nb\r\n", text("a\r\nb")),
            ("*0\r\n", Value::List(Vec::new())),
            (
                "*3\r\n*2\r\n$1\r\na\r\n$-1\r\n:7\r\n-ERR no\r\n",
                Value::List(vec![
                    Value::List(vec![text("a"), Value::Nil]),
                    Value::Int(7),
                    Value::Error("ERR no".to_owned()),
                ]),
            ),
        ] {
            let more = format!("{bytes}:1\r\n");
            assert_eq!(end(more.as_bytes()), Ok(Some(bytes.len())), "{bytes:?}");
            for part in 0..bytes.len() {
                assert_eq!(end(&bytes.as_bytes()[..part]), Ok(None), "{bytes:?} to {part}");
            }
            let mut scanner = FrameScanner::default();
            let found: Vec<_> = (0..=more.len()).map(|come| scanner.end(&more.as_bytes()[..come])).collect();
            let ends: Vec<_> = found.into_iter().flatten().flatten().collect();
            assert_eq!(ends, [bytes.len(), more.len()], "{bytes:?}, byte by byte");
            let mut rest = Bytes::from(more);
            assert_eq!(Value::decode(&mut rest, 1), Ok(vec![expected]), "{bytes:?}");
            assert_eq!(&rest[..], b":1\r\n", "{bytes:?}");
        }
    }

    #[test]
    fn is_a_protocol_error_when_it_is_nothing_of_redis() {
        for bytes in ["HTTP/1.1 400 Bad Request\r\n", "\r\n", "$x\r\n", "$-2\r\n", "*99999999999\r\n", "\x15\x03\r\n"] {
            assert_eq!(end(bytes.as_bytes()), Err(ProtocolError), "{bytes:?}");
        }
        let deep = Bytes::from(format!("{}:1\r\n", "*1\r\n".repeat(100)));
        assert_eq!(Value::decode(&mut deep.clone(), 1), Err(ProtocolError));
    }
}
