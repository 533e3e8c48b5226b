//! Reads: lookups that wait at the same moment share a round trip. Does not know who asks.

pub(super) mod reader;
mod validated_values;
