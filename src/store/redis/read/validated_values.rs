//! Values that a reader has validated: one that is read again unchanged is neither validated again nor copied. Bounded
//! by bytes: two generations, of which the older one is forgotten when the younger is full. Does not know what is in
//! them.

use bytes::Bytes;

use crate::engine::SessionId;
use crate::hashing::HashMap;

/// Bytes in a generation, of all readers together.
const BYTES_MAX: usize = 4 << 20;
/// What an entry takes beside its bytes, about.
const ENTRY_LEN: usize = 80;

/// Values by session.
pub(super) struct ValidatedValues {
    /// In a generation.
    bytes_max: usize,
    young: HashMap<SessionId, Bytes>,
    old: HashMap<SessionId, Bytes>,
    /// Of the young ones.
    bytes: usize,
}

impl ValidatedValues {
    /// Nothing yet; there are so many readers.
    pub(in crate::store::redis) fn new(readers: usize) -> Self {
        let bytes_max = BYTES_MAX / readers.max(1);
        Self { bytes_max, young: HashMap::default(), old: HashMap::default(), bytes: 0 }
    }

    /// A value that is part of all that came, as bytes of its own; `Err` is what `check` says of it.
    pub(super) fn admit(
        &mut self,
        id: SessionId,
        value: &Bytes,
        check: impl FnOnce(&Bytes) -> Result<(), String>,
    ) -> Result<Bytes, String> {
        if let Some(known) = self.young.get(&id).filter(|known| *known == value) {
            return Ok(known.clone());
        }
        let known = match self.old.remove(&id).filter(|known| known == value) {
            Some(known) => known,
            None => {
                check(value)?;
                // A value that is kept must not keep the whole read buffer.
                Bytes::copy_from_slice(value)
            }
        };
        if self.bytes > self.bytes_max {
            (self.old, self.bytes) = (std::mem::take(&mut self.young), 0);
        }
        self.bytes += known.len() + ENTRY_LEN;
        if let Some(before) = self.young.insert(id, known.clone()) {
            self.bytes -= before.len() + ENTRY_LEN;
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{ENTRY_LEN, ValidatedValues};
    use crate::engine::{SessionId, Uuid};
    use crate::hashing::HashMap;

    #[test]
    fn a_value_is_looked_at_when_it_is_another_one_and_bytes_are_bounded() {
        let mut checked = ValidatedValues::new(64);
        let id = |n: u64| SessionId(Uuid::from_bits(u128::from(n)));
        let mut looks = 0;
        for (n, value, expected) in [(1, "a", 1), (1, "a", 1), (2, "a", 2), (1, "b", 3), (1, "b", 3), (1, "a", 4)] {
            let admitted = checked.admit(id(n), &Bytes::from_static(value.as_bytes()), |_| {
                looks += 1;
                Ok(())
            });
            assert_eq!((admitted.as_deref(), looks), (Ok(value.as_bytes()), expected), "{n} {value}");
        }
        let bad = Bytes::from_static(b"bad");
        for _ in 0..2 {
            assert_eq!(checked.admit(id(3), &bad, |_| Err("no".to_owned())), Err("no".to_owned()), "each time");
        }
        let large = Bytes::from(vec![b'a'; 10_000]);
        for n in 0..100 {
            assert!(checked.admit(id(n), &large, |_| Ok(())).is_ok());
        }
        let bytes = |all: &HashMap<_, Bytes>| -> usize { all.values().map(|value| value.len() + ENTRY_LEN).sum() };
        assert_eq!(checked.bytes, bytes(&checked.young));
        let most = checked.bytes_max + large.len() + ENTRY_LEN;
        assert!(bytes(&checked.young) <= most && bytes(&checked.old) <= most);
    }
}
