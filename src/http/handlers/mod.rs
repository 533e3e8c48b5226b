//! What each endpoint does, a file for each kind. Does not know routes.

pub(super) mod meta;
pub(super) mod handling;
pub(super) mod precondition;
pub(super) mod revocations;
pub(super) mod sessions;
