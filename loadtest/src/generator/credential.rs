//! The key or token that requests of this run show. Does not know what it opens.

use std::sync::OnceLock;

static HEADER: OnceLock<String> = OnceLock::new();

/// Sets it, before the first request is made; one that is set stays.
pub(crate) fn set(credential: &str) {
    HEADER.get_or_init(|| format!("authorization: Bearer {credential}\r\n"));
}

/// The line of a head that shows it; nothing when there is none.
pub(crate) fn header() -> &'static str {
    HEADER.get().map_or("", String::as_str)
}
