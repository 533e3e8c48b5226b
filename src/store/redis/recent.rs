//! What a committer has committed last, in the form in which it is judged: a session that is found as it was left need not
//! be read again, which is a quarter of what a change costs. Bounded by bytes: two generations, of which the older one is
//! forgotten when the younger is full. Does not know whether others have changed it since: its bytes tell.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::engine::SessionId;
use crate::store::Record;
use crate::wire::RecordHeader;

/// Bytes in a generation, of all committers together.
const BYTES_MAX: usize = 4 << 20;
/// What a session takes beside its bytes, and a participant.
const SESSION_LEN: usize = 2_000;
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
    pub(super) mark: RecordHeader,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::{Left, Recent};
    use crate::engine::{SessionId, Timestamp, Uuid};
    use crate::store::Record;
    use crate::wire::{self, FieldProblems, Object, RecordHeader};

    fn id(n: u128) -> SessionId {
        SessionId(Uuid::from_bits(n))
    }

    /// A session with so many participants, and how it is stored.
    fn left(participants: usize) -> (Left, Vec<u8>) {
        let participant = |n| {
            format!(
                r#"{{"participant_id":"00000000-0000-4000-8000-{n:012x}","participant_index":{n},"total_time_ms":1000}}"#
            )
        };
        let participants: Vec<_> = (0..participants).map(participant).collect();
        let body = format!(
            r#"{{"session_id":"00000000-0000-4000-8000-000000000000","sync_mode":"per_participant","total_time_ms":1000,"participants":[{}]}}"#,
            participants.join(",")
        );
        let mut problems = FieldProblems::default();
        let body = Object::parse(body.as_bytes(), &mut problems).expect("JSON");
        let new = wire::create(&body, &mut problems).expect("no problems");
        let record = Arc::new(Record::new(new.create(1, Timestamp::from_ms(1)), Timestamp::from_ms(1)));
        let mut written = Vec::new();
        wire::encode_header(&mut written, &RecordHeader::default());
        let value = [&written[..], &record.encoded().members()].concat();
        (Left { mark: RecordHeader::default(), written: Bytes::from(written), record }, value)
    }

    #[test]
    fn a_session_is_known_by_its_bytes() {
        let mut recent = Recent::new(1);
        let ((two, as_two), (_, as_three)) = (left(2), left(3));
        recent.put(id(1), two);
        assert!(recent.get(id(1), &as_two).is_some());
        assert!(recent.get(id(1), &as_three).is_none(), "others have changed it since");
        assert!(recent.get(id(2), &as_two).is_none());
    }

    #[test]
    fn bytes_are_bounded_whatever_takes_the_place_of_what() {
        let mut recent = Recent::new(1);
        let ((small, as_small), (large, as_large)) = (left(2), left(1_000));
        for n in 0..200 {
            recent.put(id(n), small.clone());
        }
        for n in 0..200 {
            recent.put(id(n), large.clone());
        }
        let bytes = |all: &std::collections::HashMap<_, Left>| all.values().map(Left::len).sum::<usize>();
        assert_eq!(recent.bytes, bytes(&recent.young));
        let most = recent.bytes_max + large.len();
        assert!(bytes(&recent.young) <= most && bytes(&recent.old) <= most);
        assert!(recent.get(id(199), &as_large).is_some() && recent.get(id(0), &as_small).is_none());
    }
}
