//! A cache of the states that a committer wrote last, decoded: a state that is loaded as it was written need not be
//! decoded again, which is a quarter of what a change costs. Bounded by bytes: two generations, of which the older one
//! is forgotten when the younger is full. Does not know whether other instances have changed it since: a comparison of
//! bytes shows that.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::SessionId;
use crate::hashing::HashMap;
use crate::store::Record;
use crate::wire::RecordHeader;

/// Bytes in a generation, of all committers together.
const BYTES_MAX: usize = 4 << 20;
/// What a session takes beside its bytes, and a participant.
const SESSION_LEN: usize = 2_000;
const PARTICIPANT_LEN: usize = 150;

/// States as they were written.
pub(super) struct StateCache {
    /// In a generation.
    bytes_max: usize,
    young: HashMap<SessionId, CachedState>,
    old: HashMap<SessionId, CachedState>,
    /// Of the young ones.
    bytes: usize,
}

/// A session as it was left.
#[derive(Clone)]
pub(super) struct CachedState {
    pub(in crate::store::redis) header: RecordHeader,
    /// The mark as it was written.
    pub(in crate::store::redis) written: Bytes,
    pub(in crate::store::redis) record: Arc<Record>,
}

impl StateCache {
    /// Nothing yet; there are so many committers.
    pub(in crate::store::redis) fn new(committers: usize) -> Self {
        let bytes_max = BYTES_MAX / committers.max(1);
        Self { bytes_max, young: HashMap::default(), old: HashMap::default(), bytes: 0 }
    }

    /// Remembers how a session was left.
    pub(in crate::store::redis) fn put(&mut self, id: SessionId, left: CachedState) {
        if self.bytes > self.bytes_max {
            (self.old, self.bytes) = (std::mem::take(&mut self.young), 0);
        }
        self.bytes += left.len();
        if let Some(before) = self.young.insert(id, left) {
            self.bytes -= before.len();
        }
    }

    /// What is remembered of a session, when it is still as it was left: then these are its bytes.
    pub(in crate::store::redis) fn get(&self, id: SessionId, value: &[u8]) -> Option<&CachedState> {
        let left = self.young.get(&id).or_else(|| self.old.get(&id))?;
        let body = value.strip_prefix(&left.written[..])?;
        (*body == *left.record.encoded().body()).then_some(left)
    }
}

impl CachedState {
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

    use super::{CachedState, StateCache};
    use crate::engine::{SessionId, Timestamp, Uuid};
    use crate::hashing::HashMap;
    use crate::store::Record;
    use crate::wire::{self, FieldProblems, Object, RecordHeader};

    fn id(n: u128) -> SessionId {
        SessionId(Uuid::from_bits(n))
    }

    /// A session with so many participants, and how it is stored.
    fn left(participants: usize) -> (CachedState, Vec<u8>) {
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
        let value = [&written[..], &record.encoded().body()].concat();
        (CachedState { header: RecordHeader::default(), written: Bytes::from(written), record }, value)
    }

    #[test]
    fn a_session_is_known_by_its_bytes() {
        let mut cache = StateCache::new(1);
        let ((two, as_two), (_, as_three)) = (left(2), left(3));
        cache.put(id(1), two);
        assert!(cache.get(id(1), &as_two).is_some());
        assert!(cache.get(id(1), &as_three).is_none(), "others have changed it since");
        assert!(cache.get(id(2), &as_two).is_none());
    }

    #[test]
    fn bytes_are_bounded_whatever_takes_the_place_of_what() {
        let mut cache = StateCache::new(1);
        let ((small, as_small), (large, as_large)) = (left(2), left(1_000));
        for n in 0..200 {
            cache.put(id(n), small.clone());
        }
        for n in 0..200 {
            cache.put(id(n), large.clone());
        }
        let bytes = |all: &HashMap<_, CachedState>| all.values().map(CachedState::len).sum::<usize>();
        assert_eq!(cache.bytes, bytes(&cache.young));
        let most = cache.bytes_max + large.len();
        assert!(bytes(&cache.young) <= most && bytes(&cache.old) <= most);
        assert!(cache.get(id(199), &as_large).is_some() && cache.get(id(0), &as_small).is_none());
    }
}
