//! A session's metadata: a JSON object of the client's, stored as compact text with each name once, in order, and numbers as
//! they were written. Knows its bounds and how it is merged; does not know what is in it.

use std::sync::Arc;

use super::compact;
use super::json::Raw;
use super::json_values::{self, FieldResult};
use super::merge::{self, Tree};

/// How long metadata may be, in bytes of compact JSON.
pub const MAX_LEN: usize = 4_096;
/// How long a change may be: enough to name all that there is and all that is to come.
const CHANGE_MAX_LEN: usize = 4 * MAX_LEN;

/// Metadata would become too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// A change of metadata by JSON Merge Patch (RFC 7396).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge(
    /// `None` is `null`: the metadata is removed. The patch was parsed when it was read, since a merge runs while the session
    /// is locked.
    Option<Arc<Tree>>,
);

impl Merge {
    /// What is merged, as compact JSON.
    #[cfg(test)]
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_ref().map(|change| change.text())
    }

    /// The metadata after the change.
    pub fn apply(&self, metadata: Option<&str>) -> Result<Option<Arc<str>>, TooLarge> {
        let Some(change) = &self.0 else { return Ok(None) };
        // What was written by others, or came from a database, need not be compact.
        let target = Tree::read(metadata.map_or_else(|| "{}".to_owned(), compact::kept));
        let merged = merge::merge(&target, change);
        if merged.len() > MAX_LEN { Err(TooLarge) } else { Ok(Some(merged.into())) }
    }
}

/// Reads metadata that is given as a whole.
pub(super) fn whole(value: Raw<'_>) -> FieldResult<Arc<str>> {
    compact(value, MAX_LEN).map(Arc::from)
}

/// Reads a change of metadata.
pub(super) fn change(value: Raw<'_>) -> FieldResult<Merge> {
    if value.get() == "null" {
        return Ok(Merge(None));
    }
    compact(value, CHANGE_MAX_LEN).map(|text| Merge(Some(Arc::new(Tree::read(text)))))
}

/// An object.
fn compact(value: Raw<'_>, len_max: usize) -> FieldResult<String> {
    if value.get().starts_with('{') {
        compact::given(value.get(), len_max)
    } else {
        Err(json_values::unexpected("object", value))
    }
}
