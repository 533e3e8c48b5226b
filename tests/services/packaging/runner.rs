//! `tests/run`: what it needs of a machine, and its errors. packaging/fresh-root tries the installation, in a Debian of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};

use test_support::directory::Directory;

use super::{path, text};

/// What it looks for.
const NEEDED: [&str; 10] = [
    "cc",
    "chromium",
    "curl",
    "faketime",
    "haproxy",
    "nix-instantiate",
    "npm",
    "postgres",
    "redis-server",
    "systemd-analyze",
];

/// Runs it on a machine that has these programs and no others, as somebody who is not root.
fn run(programs: &[&str]) -> Output {
    let directory = Directory::new();
    fs::create_dir_all(directory.path()).expect("it can be made");
    let program = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    };
    for name in programs {
        program(name, "exit 1");
    }
    program("cargo", "echo \"open files: $(ulimit -Sn), server: $SYNCKAIROS_BIN, told: $*\"");
    program("id", "echo 1000");
    let places = std::env::var_os("PATH").unwrap_or_default();
    for name in ["bash", "dirname", "uname", "sh"] {
        let mut found = std::env::split_paths(&places).map(|dir| dir.join(name));
        let found = found.find(|path| path.is_file()).unwrap_or_else(|| panic!("no {name}"));
        symlink(found, directory.path().join(name)).expect("it can be made");
    }
    let script = format!("ulimit -Sn 100; exec {} some_test", path("tests/run").display());
    let mut command = Command::new(directory.path().join("bash"));
    command.args(["-c", &script]).env_clear().env("PATH", directory.path());
    command.output().expect("bash runs")
}

#[test]
fn it_lets_tests_open_as_many_files_as_they_may() {
    let output = run(&NEEDED);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let most = said.strip_prefix("open files: ").and_then(|rest| rest.split(',').next()).expect("it says how many");
    assert!(most == "unlimited" || most.parse::<u64>().is_ok_and(|most| most > 100), "{said}");
    assert!(
        said.ends_with(
            "told: test --locked --workspace --no-fail-fast --lib --bins --test * -- --include-ignored some_test\n"
        ),
        "{said}"
    );
    // Tests of other crates than the server's are told where it is built, wherever they run.
    let server = format!("server: {}, ", path("target/debug/synckairos").display());
    assert!(said.contains(&server), "{said}");
}

#[test]
fn without_the_right_to_install_it_lists_what_is_missing() {
    for left_out in ["redis-server", "haproxy", "cc"] {
        // Debian keeps some where not everybody looks.
        if path("/usr/sbin").join(left_out).exists() {
            continue;
        }
        let mut programs: Vec<_> = NEEDED.iter().copied().filter(|name| *name != left_out).collect();
        programs.push("apt-get");
        let output = run(&programs);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{said}");
        let package = if left_out == "cc" { "gcc libc6-dev" } else { left_out };
        let expected = format!("as root: apt-get install --no-install-recommends {package}");
        assert!(said.contains(&expected) && said.lines().count() == 1, "{said}");
    }
}

/// A machine without procps has no `kill`: what tests start is there, or is installed.
#[test]
fn tests_start_only_what_every_machine_has_or_the_script_installs() {
    // Of packages that Debian never goes without, and cargo.
    const BASE: [&str; 8] = ["bash", "cargo", "chown", "env", "id", "prlimit", "setpriv", "sh"];
    let script = text("tests/run");
    let mut count = 0;
    for directory in ["tests", "benches", "loadtest"] {
        for file in test_support::sources::files(&path(directory)) {
            let source = fs::read_to_string(&file).expect("it can be read");
            // In two words, so that these lines are not found themselves.
            for program in
                source.split(concat!("Command::", "new(\"")).skip(1).filter_map(|rest| rest.split('"').next())
            {
                let is_there = BASE.contains(&program) || ["bare", "loadtest", "useradd"].contains(&program);
                // Node.js comes with its package manager.
                let named = if program == "node" { "npm" } else { program };
                let is_installed = script.contains(&format!("command -v {named} "));
                assert!(is_there || is_installed, "{} starts {program}", file.display());
                count += 1;
            }
        }
    }
    assert!(count > 8, "only {count} were found");
}
