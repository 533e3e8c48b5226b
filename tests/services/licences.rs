//! Every crate in Cargo.lock, and every package of npm in a lockfile, has a permissive licence.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than to be named.
const PERMISSIVE: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an expression of SPDX can be met with those alone; a slash is an older way to write OR.
fn is_permissive(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let depths = expression.char_indices().scan(0_i32, |depth, (at, next)| {
        *depth += i32::from(next == '(') - i32::from(next == ')');
        Some((at, *depth))
    });
    let outside: BTreeSet<_> = depths.filter(|(_, depth)| *depth == 0).map(|(at, _)| at).collect();
    let parts = |word: &str| -> Vec<String> {
        let mut parts = Vec::new();
        let mut start = 0;
        for (at, _) in expression.match_indices(word).filter(|(at, _)| outside.contains(at)) {
            parts.push(expression[start..at].trim().to_owned());
            start = at + word.len();
        }
        parts.push(expression[start..].trim().to_owned());
        parts
    };
    match (parts(" OR "), parts(" AND ")) {
        (any, _) if any.len() > 1 => any.iter().any(|part| is_permissive(part)),
        (_, all) if all.len() > 1 => all.iter().all(|part| is_permissive(part)),
        _ => match expression.trim().strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
            Some(inner) => is_permissive(inner),
            None => PERMISSIVE.contains(&expression.trim()),
        },
    }
}

#[test]
fn expressions_are_understood() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND (GPL-3.0 OR MPL-2.0)", false),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_permissive(expression), expected, "{expression}");
    }
}

/// What cargo knows of the crates; of this platform's alone where the others' were never fetched.
fn metadata() -> Value {
    let ask = |more: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--format-version", "1", "--offline", "--locked"]).args(more);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs")
    };
    let mut told = ask(&[]);
    if !told.status.success() {
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        told = ask(&["--filter-platform", &host]);
    }
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).expect("it is JSON")
}

#[test]
fn every_crate_may_be_shipped() {
    let metadata = metadata();
    let crates = metadata["packages"].as_array().expect("a list");
    let foreign = crates.iter().filter(|package| package["source"].is_string());
    let mut count = 0;
    for package in foreign {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_permissive(licence), "{} is licensed under {licence:?}", package["name"]);
        count += 1;
    }
    assert!(count > 100, "only {count} were found");
}

/// Packages that say so in a way that npm does not read any more.
const OTHERWISE: [&str; 1] = ["node_modules/reserved"];

/// Every lockfile of npm below a directory.
fn lockfiles(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.expect("a directory can be read").path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("node_modules") => {}
            Some("package-lock.json") => found.push(path),
            Some(_) | None if path.is_dir() => found.extend(lockfiles(&path)),
            Some(_) | None => {}
        }
    }
    found
}

#[test]
fn every_package_of_npm_may_be_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = ["clients", "tests"].iter().flat_map(|directory| lockfiles(&root.join(directory))).collect();
    assert!(files.len() >= 2, "only {files:?} were found");
    for file in files {
        let text = fs::read_to_string(&file).expect("it can be read");
        let lock: Value = serde_json::from_str(&text).expect("it is JSON");
        // The first one is what asks for all others.
        let packages = lock["packages"].as_object().expect("packages by their places").iter().skip(1);
        assert!(packages.len() > 20, "{} has few", file.display());
        for (place, package) in packages {
            let licence = package["license"].as_str().unwrap_or_default();
            let is_known = is_permissive(licence) || licence.is_empty() && OTHERWISE.contains(&&**place);
            assert!(is_known, "{}: {place} is licensed under {licence:?}", file.display());
            assert!(package["integrity"].is_string(), "{}: {place} could be another one", file.display());
        }
    }
}
