//! Maps and sets whose hasher takes its key from this server's own random numbers: nobody outside foresees which keys
//! collide, and a simulation repeats the order in which they are iterated over. Does not know what they hold.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

use crate::random;

/// A hash map.
pub type HashMap<K, V> = std::collections::HashMap<K, V, KeyedState>;

/// A hash set.
pub type HashSet<T> = std::collections::HashSet<T, KeyedState>;

/// Makes hashers with a random key.
#[derive(Clone, Debug)]
pub struct KeyedState(u64);

impl Default for KeyedState {
    fn default() -> Self {
        Self(random::bits())
    }
}

impl BuildHasher for KeyedState {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::KeyedState;

    #[test]
    fn each_has_a_key_of_its_own() {
        let (one, other) = (KeyedState::default(), KeyedState::default());
        assert_eq!(one.hash_one(7), one.clone().hash_one(7));
        assert_ne!(one.hash_one(7), other.hash_one(7));
        assert_ne!(one.hash_one(7), one.hash_one(8));
    }
}
