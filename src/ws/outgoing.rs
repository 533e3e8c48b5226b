//! One thing that a client is to be sent, the frame in which it goes, and why nothing more does. Does not know what else waits.

use crate::engine::StateTag;

use super::budget::QueuedMessage;
use super::frame::Frame;

/// What a client is to be sent.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// A state, which takes the place of so many others.
    State(StateTag, QueuedMessage, u64),
    /// What every client of the session is sent beside states.
    Notice(QueuedMessage),
    /// The client's alone: an answer to what it asked.
    Answer(QueuedMessage),
    /// An answer that shows the state: no newer one may come before it.
    Sync(QueuedMessage),
    /// The client must show that it is there.
    Ping,
}

/// Why nothing is taken in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutboxEnd {
    /// The session was deleted; what waits is still sent.
    Deleted,
    /// Nothing more can be heard of the session here; what waits is still sent.
    Interrupted,
    /// The client did not keep up.
    TooSlow,
    /// The client, or the server, ends the connection.
    Closed,
}

impl Outgoing {
    /// As it is sent.
    pub(super) fn frame(&self) -> Frame {
        match self {
            Self::State(_, message, skipped) => Frame::update(message.clone(), *skipped),
            Self::Notice(message) | Self::Answer(message) | Self::Sync(message) => Frame::text(message.clone()),
            Self::Ping => Frame::ping(),
        }
    }

    /// The length of its text, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::State(_, message, _) | Self::Notice(message) | Self::Answer(message) | Self::Sync(message) => {
                message.bytes().len()
            }
            Self::Ping => 0,
        }
    }
}
