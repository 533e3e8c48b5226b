//! Replies in RESP2. Does not know what they answer.

/// A reply of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status such as `OK`.
    Status(&'static str),
    /// An error: its code, a space, and its message.
    Error(String),
    /// An integer.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing where bytes could be.
    Nil,
    /// Nothing where an array could be.
    NilArray,
    /// An array.
    Array(Vec<Reply>),
}

impl Reply {
    /// The reply to a command that was carried out and has nothing to say.
    pub const OK: Self = Self::Status("OK");

    /// An error without a code of its own.
    pub fn err(message: impl std::fmt::Display) -> Self {
        Self::Error(format!("ERR {message}"))
    }

    /// Another type of value has the key.
    pub fn wrong_type() -> Self {
        Self::Error("WRONGTYPE Operation against a key holding the wrong kind of value".to_owned())
    }

    /// Bytes, or nothing.
    pub fn bulk_or_nil(bytes: Option<impl Into<Vec<u8>>>) -> Self {
        bytes.map_or(Self::Nil, |bytes| Self::Bulk(bytes.into()))
    }

    /// A count.
    pub fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Adds it to `out` as it goes over the wire.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Status(status) => line(out, b'+', status.as_bytes()),
            Self::Error(error) => line(out, b'-', error.as_bytes()),
            Self::Int(number) => line(out, b':', number.to_string().as_bytes()),
            Self::Bulk(bytes) => {
                line(out, b'$', bytes.len().to_string().as_bytes());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::Nil => out.extend_from_slice(b"$-1\r\n"),
            Self::NilArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Array(replies) => {
                line(out, b'*', replies.len().to_string().as_bytes());
                replies.iter().for_each(|reply| reply.encode(out));
            }
        }
    }
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}
