//! Panics that tests ask for, in debug builds alone: a release build has none of this. Does not know who asks.

use std::fmt::Display;

/// A place where a test may want a panic, about a session or whatever else the point is about. The file that
/// `SYNCKAIROS_TEST_PANICS` names says which, a line each: the point's name, or the name, a space and what it is about.
/// It is read whenever a point is passed, so that a test decides when they begin and end.
#[inline]
pub fn panic_point(point: &str, about: impl Display) {
    if cfg!(debug_assertions) {
        asked_for(point, about);
    }
}

fn asked_for(point: &str, about: impl Display) {
    use std::sync::OnceLock;

    static FILE: OnceLock<Option<std::ffi::OsString>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var_os("SYNCKAIROS_TEST_PANICS")) else { return };
    let Ok(wanted) = std::fs::read_to_string(file) else { return };
    let one = format!("{point} {about}");
    if wanted.lines().any(|line| line == point || line == one) {
        panic!("a test asked for a panic at {one}");
    }
}
