//! Values by key: their types, when they expire, and a version for each key, by which WATCH notices changes. Does not know
//! commands.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::args::Result;
use super::reply::Reply;
use super::sorted_sets::SortedSet;

/// A key.
pub(super) type Key = Vec<u8>;

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    String(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    SortedSet(SortedSet),
}

impl Value {
    /// Its type, as TYPE says it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::SortedSet(_) => "zset",
        }
    }

    /// Whether nothing is in it, so that the key goes.
    fn is_empty(&self) -> bool {
        match self {
            Self::String(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    expires_at_ms: Option<u64>,
}

/// A type of values: how it is found in [`Value`], and what is made where there is nothing.
pub(super) trait Kind: Default {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

macro_rules! kinds {
    ($($kind:ty => $variant:ident,)+) => {
        $(impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$variant(value) = value { Some(value) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(value) = value { Some(value) } else { None }
            }

            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        })+
    };
}

kinds! {
    Vec<u8> => String,
    VecDeque<Vec<u8>> => List,
    BTreeMap<Vec<u8>, Vec<u8>> => Hash,
    SortedSet => SortedSet,
}

/// A value that a key got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// When, by the server's clock in microseconds.
    pub at_us: u64,
    /// Which key.
    pub key: Vec<u8>,
    /// The value, a string.
    pub value: Vec<u8>,
}

/// Everything that a server keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyspace {
    entries: BTreeMap<Key, Entry>,
    versions: BTreeMap<Key, u64>,
    /// The time at which commands see it, in microseconds.
    now_us: u64,
    /// The beginning of the keys whose values are written down.
    recorded: Option<Vec<u8>>,
    writes: Vec<Written>,
}

impl Keyspace {
    /// Goes on to a time; what has expired by then is gone.
    pub(super) fn go_to(&mut self, now_us: u64) {
        self.now_us = now_us;
        let now_ms = self.now_ms();
        let expired = |entry: &Entry| entry.expires_at_ms.is_some_and(|at| at <= now_ms);
        let gone: Vec<_> = self.entries.extract_if(.., |_, entry| expired(entry)).map(|(key, _)| key).collect();
        gone.into_iter().for_each(|key| self.touch(&key));
    }

    /// From now on the values of such keys are written down.
    pub(super) fn record_writes(&mut self, prefix: &[u8]) {
        self.recorded = Some(prefix.to_vec());
    }

    /// What was written down since this was called last.
    pub(super) fn take_writes(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.writes)
    }

    /// Goes back to what was kept at another time.
    pub(super) fn restore(&mut self, saved: &Self) {
        self.entries.clone_from(&saved.entries);
        self.versions.clone_from(&saved.versions);
    }

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    /// Notes that a key changed.
    pub(super) fn touch(&mut self, key: &[u8]) {
        *self.versions.entry(key.to_vec()).or_default() += 1;
    }

    /// Counts the changes of a key.
    pub(super) fn version(&self, key: &[u8]) -> u64 {
        self.versions.get(key).copied().unwrap_or_default()
    }

    pub(super) fn value(&self, key: &[u8]) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value of a key, if it is of this type.
    pub(super) fn read<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => K::of(value).map(Some).ok_or_else(Reply::wrong_type),
        }
    }

    /// Changes the value of a key, or an empty one; the key changed if the result of `change` says so.
    pub(super) fn change<K: Kind, T>(&mut self, key: &[u8], change: impl FnOnce(&mut K) -> (T, bool)) -> Result<T> {
        self.read::<K>(key)?;
        let made = || Entry { value: K::default().into_value(), expires_at_ms: None };
        let entry = self.entries.entry(key.to_vec()).or_insert_with(made);
        let Some(value) = K::of_mut(&mut entry.value) else { return Err(Reply::wrong_type()) };
        let (result, is_changed) = change(value);
        if entry.value.is_empty() {
            self.entries.remove(key);
        }
        if is_changed {
            self.touch(key);
        }
        Ok(result)
    }

    /// Gives a key another value, without an expiry.
    pub(super) fn set(&mut self, key: &[u8], value: Value, expires_at_ms: Option<u64>) {
        if let Value::String(value) = &value
            && self.recorded.as_ref().is_some_and(|prefix| key.starts_with(prefix))
        {
            self.writes.push(Written { at_us: self.now_us, key: key.to_vec(), value: value.clone() });
        }
        self.entries.insert(key.to_vec(), Entry { value, expires_at_ms });
        self.touch(key);
    }

    /// Removes a key; says whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let was_there = self.entries.remove(key).is_some();
        if was_there {
            self.touch(key);
        }
        was_there
    }

    /// Removes a key and gives its value to another, with its expiry; says whether it was there.
    pub(super) fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        let Some(entry) = self.entries.remove(from) else { return false };
        self.entries.insert(to.to_vec(), entry);
        self.touch(from);
        self.touch(to);
        true
    }

    /// When a key expires; `None` when it is not there, `Some(None)` when it never does.
    pub(super) fn expiry_ms(&self, key: &[u8]) -> Option<Option<u64>> {
        self.entries.get(key).map(|entry| entry.expires_at_ms)
    }

    /// Lets a key expire, at once if that time is over.
    pub(super) fn expire_at(&mut self, key: &[u8], at_ms: u64) {
        if at_ms <= self.now_ms() {
            self.remove(key);
        } else if let Some(entry) = self.entries.get_mut(key) {
            entry.expires_at_ms = Some(at_ms);
            self.touch(key);
        }
    }
}
