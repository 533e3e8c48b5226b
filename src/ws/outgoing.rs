//! One thing that a client is to be sent, and the frame in which it goes. Does not know what else waits.

use crate::engine::StateTag;

use super::budget::QueuedMessage;
use super::frame::Frame;

/// What a client is to be sent.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// A state, which takes the place of so many others.
    State(StateTag, QueuedMessage, u64),
    /// What everybody is told beside states.
    Notice(QueuedMessage),
    /// The client's alone: an answer to what it asked.
    Answer(QueuedMessage),
    /// An answer that shows the state: no newer one may come before it.
    Sync(QueuedMessage),
    /// The client must show that it is there.
    Ping,
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
