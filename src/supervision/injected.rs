//! Panics and stalls that tests ask for, in debug builds alone: a release build has none of this. Does not know who asks.

use std::fmt::Display;
use std::thread;
use std::time::Duration;

/// How soon a thread that stalls looks whether it still has to.
const STALL_PAUSE: Duration = Duration::from_millis(5);

/// A place where a test may want a panic, about a session or whatever else the point is about. The file that
/// `SYNCKAIROS_TEST_PANICS` names says which, a line each: the point's name, or the name, a space and what it is about.
/// It is read whenever a point is passed, so that a test decides when they begin and end.
#[inline]
pub fn panic_point(point: &str, about: impl Display) {
    if cfg!(debug_assertions) {
        asked_for(point, about);
    }
}

/// A place where a thread waits for something that may take long, such as a disk: it stalls for as long as the file has a
/// line `stall` and the point's name.
#[inline]
pub fn stall_point(point: &str) {
    while cfg!(debug_assertions) && wanted().is_some_and(|wanted| has(&wanted, &format!("stall {point}"))) {
        thread::sleep(STALL_PAUSE);
    }
}

fn asked_for(point: &str, about: impl Display) {
    let Some(wanted) = wanted() else { return };
    let one = format!("{point} {about}");
    if has(&wanted, point) || has(&wanted, &one) {
        panic!("a test asked for a panic at {one}");
    }
}

/// What the file says now.
fn wanted() -> Option<String> {
    use std::sync::OnceLock;

    static FILE: OnceLock<Option<std::ffi::OsString>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("SYNCKAIROS_TEST_PANICS")).as_ref()?;
    std::fs::read_to_string(file).ok()
}

fn has(wanted: &str, line: &str) -> bool {
    wanted.lines().any(|one| one == line)
}
