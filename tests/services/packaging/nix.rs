//! The files for Nix: they parse, name files that exist, and agree with their lock. `nix flake check` evaluates them, which
//! needs nixpkgs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{path, text};

const FILES: [&str; 4] = ["flake.nix", "packaging/nixos-test.nix", "packaging/nixos.nix", "packaging/package.nix"];

/// What nix-instantiate prints.
fn nix(arguments: &[&str]) -> String {
    let mut command = Command::new("nix-instantiate");
    // It wants a home, and a store unless it is told that there is none.
    command.env("HOME", std::env::temp_dir()).args(["--store", "dummy://"]).args(arguments);
    let output = command.output().expect("nix-instantiate is installed: tests/run installs nix-bin");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

#[test]
fn they_are_nix_and_name_files_that_are_there() {
    let mut names = 0;
    for file in FILES {
        let parsed = nix(&["--parse", path(file).to_str().expect("the path is text")]);
        let root = path("");
        let words = parsed.split([' ', '(', ')', ';', '\n']).map(Path::new);
        for named in words.filter(|word| word.starts_with(&root)) {
            assert!(named.exists(), "{file} names {}", named.display());
            names += 1;
        }
    }
    assert!(names >= 9, "only {names} were found");
}

#[test]
fn the_lock_is_of_the_one_input() {
    let flake = format!("(import {}).inputs", path("flake.nix").display());
    let inputs: Value = serde_json::from_str(&nix(&["--eval", "--strict", "--json", "-E", &flake])).expect("JSON");
    let lock: Value = serde_json::from_str(&text("flake.lock")).expect("JSON");
    let original = &lock["nodes"]["nixpkgs"]["original"];
    let part = |name: &str| original[name].as_str().unwrap_or_else(|| panic!("no {name}: {lock}"));
    let url = format!("{}:{}/{}/{}", part("type"), part("owner"), part("repo"), part("ref"));
    assert_eq!(inputs, serde_json::json!({"nixpkgs": {"url": url}}));
    assert_eq!(lock["nodes"]["root"]["inputs"], serde_json::json!({"nixpkgs": "nixpkgs"}));
}
