//! Holds that the lockfile of `fuzz/`, a workspace of its own, goes along with the server's: the same versions of the same
//! crates, and beside them only those of which the licence is known here.

use std::collections::BTreeSet;
use std::fs;

use super::root;

/// What fuzzing needs and the server does not, each with its licence.
const BESIDE: &[(&str, &str)] = &[
    ("arbitrary", "MIT OR Apache-2.0"),
    ("fuzz", "ours"),
    ("jobserver", "MIT OR Apache-2.0"),
    // NCSA asks for no more than to be named; and nothing of it is shipped.
    ("libfuzzer-sys", "(MIT OR Apache-2.0) AND NCSA"),
];

/// How the lockfile is made anew.
const ANEW: &str =
    "cp Cargo.lock fuzz/ && cargo metadata --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null";

/// The names and versions that a lockfile has.
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let value = |entry: &str, name: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let entries = text.split("[[package]]").skip(1);
    entries.filter_map(|entry| Some((value(entry, "name")?, value(entry, "version")?))).collect()
}

#[test]
fn fuzzing_is_built_of_what_the_server_is_built_of() {
    let (server, fuzz) = (locked("Cargo.lock"), locked("fuzz/Cargo.lock"));
    assert!(fuzz.len() > 100, "only {} crates were found", fuzz.len());
    let beside: Vec<_> = fuzz.difference(&server).map(|(name, _)| name.as_str()).collect();
    let known: Vec<_> = BESIDE.iter().map(|(name, _)| *name).collect();
    assert_eq!(beside, known, "{ANEW}");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it can be read");
    let section = manifest.split("\n[dependencies]\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    for line in section.expect("there are dependencies").lines() {
        let name = line.split([' ', '=']).next().unwrap_or_default();
        assert!(fuzz.iter().any(|(locked, _)| locked == name), "{name} is missing: {ANEW}");
    }
}
