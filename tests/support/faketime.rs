//! Programs under a wall clock that the test sets. Elapsed time stays what it is.

use std::fmt::Write as _;
use std::process::Command;

use super::directory::Directory;

/// A time of day that can be set while a program runs by it.
pub struct Faketime {
    directory: Directory,
}

impl Faketime {
    /// The time of day, moved by so many seconds.
    pub fn new(offset_s: i64) -> Self {
        let faketime = Self { directory: Directory::new() };
        std::fs::create_dir_all(faketime.directory.path()).expect("it can be made");
        faketime.set(offset_s);
        faketime
    }

    /// Sets it.
    pub fn set(&self, offset_s: i64) {
        let mut text = String::new();
        write!(text, "{offset_s:+}s").expect("a string takes everything");
        let new = self.directory.path().join("new");
        std::fs::write(&new, text).expect("it can be written");
        std::fs::rename(new, self.file()).expect("it can be moved");
    }

    /// Lets a program go by it.
    pub fn given_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.envs(self.environment(library()))
    }

    /// What lets a server of Redis go by it. Its own allocator asks for the time before it can be told: the system's does not.
    pub fn for_redis(&self) -> Vec<(String, String)> {
        self.environment(format!("{}:libc.so.6", library()))
    }

    fn environment(&self, libraries: String) -> Vec<(String, String)> {
        let fixed = ["FAKETIME_NO_CACHE", "DONT_FAKE_MONOTONIC", "FAKETIME_DONT_FAKE_MONOTONIC"];
        let fixed = fixed.map(|name| (name.to_owned(), "1".to_owned()));
        let told = [("LD_PRELOAD".to_owned(), libraries), ("FAKETIME_TIMESTAMP_FILE".to_owned(), self.file())];
        fixed.into_iter().chain(told).collect()
    }

    fn file(&self) -> String {
        self.directory.path().join("faketime").display().to_string()
    }
}

/// What makes programs believe another time.
fn library() -> String {
    // The wrapper waits for what it runs and cannot be killed in its place: it only tells what to load.
    let told = Command::new("faketime").args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]).output();
    let told = told.expect("faketime is installed: tests/run installs it").stdout;
    String::from_utf8(told).expect("a path is text").trim().to_owned()
}
