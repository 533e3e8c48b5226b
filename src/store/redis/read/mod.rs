//! Reads: lookups that wait at the same moment share a round trip. Does not know who asks.

mod lookup;
mod reader;
mod validated_values;

pub(super) use lookup::{Lookup, ReaderPool, StoredRecord};
pub(super) use reader::serve;
