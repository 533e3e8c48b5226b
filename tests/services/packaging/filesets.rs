//! The files that the image and the Nix package are built from: whether cargo can build the program from exactly those.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::directory::Directory;
use test_support::outer_run;

use super::{path, text};

/// What `.dockerignore` lets through: everything is ignored but what it takes back.
fn image() -> Vec<String> {
    let ignored = text(".dockerignore");
    let lines: Vec<_> = ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let (all, given) = lines.split_first().expect("it says something");
    assert_eq!(*all, "*");
    given.iter().map(|line| line.strip_prefix('!').expect("an exception").to_owned()).collect()
}

/// What the package's file set is a union of.
fn nix() -> Vec<String> {
    let package = text("packaging/package.nix");
    let union = package.split("fileset = lib.fileset.unions [").nth(1).and_then(|rest| rest.split(']').next());
    let paths = union.expect("it is a union").split_whitespace();
    let paths = paths.map(|given| match given.strip_prefix("../") {
        Some(path) => path.to_owned(),
        None => format!("packaging/{}", given.strip_prefix("./").expect("a path")),
    });
    paths.collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("it can be read") {
            let entry = entry.expect("it can be read");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    fs::create_dir_all(to.parent().expect("it is in a directory")).expect("it can be made");
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// Lets cargo look at the program where these files are, and nothing else is.
fn check(files: &[String]) {
    let directory = Directory::new();
    for file in files {
        copy(&path(file), &directory.path().join(file));
    }
    // What it has looked at once is not looked at again the next time.
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("filesets");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--offline", "--locked", "--bin", "synckairos", "--target-dir"]).arg(target);
    cargo.current_dir(directory.path());
    // Where crates come from may be told beside the repository only.
    let config = path(".cargo/config.toml");
    if config.exists() {
        cargo.arg("--config").arg(config);
    }
    outer_run::forget(&mut cargo);
    let checked = cargo.output().expect("cargo runs");
    assert!(checked.status.success(), "{files:?}: {}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_image_is_built_from_what_docker_is_given() {
    check(&image());
}

#[test]
fn the_package_is_built_from_what_nix_is_given() {
    let mut files = nix();
    let unit = files.iter().position(|file| file == "packaging/synckairos.service");
    files.remove(unit.expect("it is installed"));
    files.sort();
    let mut image = image();
    image.sort();
    if files != image {
        check(&files);
    }
}

/// Of this run a cargo inside it knows nothing, or it would build libraries for minutes.
#[test]
fn a_cargo_inside_knows_nothing_of_this_run() {
    let mut inner = Command::new("env");
    outer_run::forget(&mut inner);
    let told = inner.output().expect("env runs");
    let told = String::from_utf8(told.stdout).expect("it is text");
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && told.contains("PATH="), "{told}");
    for name in ["CARGO_MANIFEST_DIR=", "CARGO_MANIFEST_LINKS=", "CARGO_PKG_NAME=", "CARGO_PKG_VERSION"] {
        assert!(!told.contains(name), "{told}");
    }
}
