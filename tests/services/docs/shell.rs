//! A shell in which the pages' commands run as they stand there: `cargo run --release` and `synckairos` are the program
//! that was built for the tests, ports are free ones, and whoever asks for another user is that user already.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use test_support::directory::Directory;

/// A shell with a directory of its own.
pub(super) struct Shell {
    directory: Directory,
    /// What stands on a page, and what is meant here.
    instead: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

const PROGRAMS: [(&str, &str); 2] = [
    (
        "cargo",
        "[ \"$1 $2\" = 'run --release' ] || exit 64\nshift 2\n[ \"${1:-}\" != -- ] || shift\nexec synckairos \"$@\"\n",
    ),
    ("sudo", "[ \"$1\" = -u ] || exit 64\nshift 2\nexec \"$@\"\n"),
];

impl Shell {
    pub(super) fn new(instead: &[(&str, &str)]) -> Self {
        let directory = Directory::new();
        let programs = directory.path().join("bin");
        fs::create_dir_all(&programs).expect("it can be made");
        for (name, text) in PROGRAMS {
            let path = programs.join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}")).expect("it can be written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        symlink(env!("CARGO_BIN_EXE_synckairos"), programs.join("synckairos")).expect("it can be made");
        let instead = instead.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Self { directory, instead, environment: Vec::new() }
    }

    pub(super) fn with(mut self, environment: &[(&str, &str)]) -> Self {
        self.environment.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    fn command(&self, script: &str) -> Command {
        let mut script = script.to_owned();
        for (from, to) in &self.instead {
            script = script.replace(from, to);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", &script])
            .env_clear()
            .env("ALLOWED_HOSTS", "*")
            .current_dir(self.directory.path());
        command.env("PATH", format!("{}/bin:{path}", self.directory.text())).env("HOME", self.directory.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end; fails the test when it fails.
    pub(super) fn run(&self, script: &str) -> String {
        let output = self.output(script);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).expect("it is text")
    }

    pub(super) fn output(&self, script: &str) -> Output {
        self.command(script).output().expect("bash runs")
    }

    /// Starts it, to be ended by the test; what it leaves behind in the background ends too.
    pub(super) fn start(&self, script: &str) -> Started {
        // What it starts belongs to its group.
        Started(Some(self.command(&format!("{script}\nwait")).process_group(0).spawn().expect("bash runs")))
    }
}

/// Commands that are under way.
pub(super) struct Started(Option<Child>);

impl Started {
    /// What it printed, at its end.
    pub(super) fn output(mut self) -> String {
        let child = self.0.take().expect("it is waited for once");
        let output = child.wait_with_output().expect("it was started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is text")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group.filter(|_| matches!(child.try_wait(), Ok(None))) {
            // Asked to stop, a redis-server whose directory is gone would not: it cannot save.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
    }
}
