//! Programs whose operating system tells them another time of day. Elapsed time stays what it is.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::directory::Directory;

/// A time of day that can be set while a program runs by it.
pub(crate) struct Faketime {
    directory: Directory,
}

impl Faketime {
    /// The time of day, moved by so many seconds.
    pub(crate) fn new(offset_s: i64) -> Self {
        let faketime = Self { directory: Directory::new() };
        std::fs::create_dir_all(faketime.directory.path()).expect("it can be made");
        faketime.set(offset_s);
        faketime
    }

    /// Sets it.
    pub(crate) fn set(&self, offset_s: i64) {
        let mut text = String::new();
        write!(text, "{offset_s:+}s").expect("a string takes everything");
        let new = self.directory.path().join("new");
        std::fs::write(&new, text).expect("it can be written");
        std::fs::rename(new, self.file()).expect("it can be moved");
    }

    /// Lets a program go by it.
    pub(crate) fn given_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        // The wrapper waits for what it runs and cannot be killed in its place: it only tells what to load.
        let told = Command::new("faketime").args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]).output();
        let told = told.expect("faketime is installed: tests/run installs it").stdout;
        let library = String::from_utf8(told).expect("a path is text");
        command
            .env("LD_PRELOAD", library.trim())
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("faketime")
    }
}
