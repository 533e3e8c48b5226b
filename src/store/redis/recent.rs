//! What a committer has committed last, as it was before it was written: a session that is found as it was left need not
//! be read again, which is a quarter of what a change costs. Bounded by bytes: two generations, of which the older one is
//! forgotten when the younger is full. Does not know whether others have changed it since: its bytes tell.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::engine::SessionId;
use crate::store::Record;
use crate::wire::Mark;

/// Bytes in a generation, of all committers together.
const BYTES_MAX: usize = 8 << 20;
/// What a session takes beside its bytes, and a participant.
const SESSION_LEN: usize = 1_000;
const PARTICIPANT_LEN: usize = 150;

/// Sessions as they were committed.
pub(super) struct Recent {
    /// In a generation.
    bytes_max: usize,
    young: HashMap<SessionId, Left>,
    old: HashMap<SessionId, Left>,
    /// Of the young ones.
    bytes: usize,
}

/// A session as it was left.
#[derive(Clone)]
pub(super) struct Left {
    pub(super) mark: Mark,
    /// The mark as it was written.
    pub(super) written: Bytes,
    pub(super) record: Arc<Record>,
}

impl Recent {
    /// Nothing yet; there are so many committers.
    pub(super) fn new(committers: usize) -> Self {
        let bytes_max = BYTES_MAX / committers.max(1);
        Self { bytes_max, young: HashMap::new(), old: HashMap::new(), bytes: 0 }
    }

    /// Remembers how a session was left.
    pub(super) fn put(&mut self, id: SessionId, left: Left) {
        if self.bytes > self.bytes_max {
            (self.old, self.bytes) = (std::mem::take(&mut self.young), 0);
        }
        self.bytes += left.len();
        if let Some(before) = self.young.insert(id, left) {
            self.bytes -= before.len();
        }
    }

    /// What is remembered of a session, when it is still as it was left: then these are its bytes.
    pub(super) fn get(&self, id: SessionId, value: &[u8]) -> Option<&Left> {
        let left = self.young.get(&id).or_else(|| self.old.get(&id))?;
        let members = value.strip_prefix(&left.written[..])?;
        (members == left.record.encoded().members()).then_some(left)
    }
}

impl Left {
    /// About how much it takes.
    fn len(&self) -> usize {
        let participants = self.record.session().participants.len();
        SESSION_LEN + PARTICIPANT_LEN * participants + self.record.encoded().frame().len()
    }
}
