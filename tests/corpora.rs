//! Every input that fuzzing has kept, in `fuzz/corpus/`, fed to its target once more; and that there is one of each.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_targets::{TARGETS, find};

/// Bytes that all inputs may take together.
const BYTES_MAX: u64 = 1 << 20;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}

fn replay(name: &str) {
    let target = find(name).unwrap_or_else(|| panic!("there is no target {name}"));
    let inputs = entries(&corpora().join(name));
    assert!(!inputs.is_empty(), "{name} has no corpus");
    for path in inputs {
        let input = fs::read(&path).expect("it can be read");
        // Named when it fails.
        println!("{}", path.display());
        (target.run)(&input);
    }
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let with_corpus: Vec<_> = entries(&corpora())
        .iter()
        .map(|path| path.file_name().expect("it has a name").to_str().expect("names are text").to_owned())
        .collect();
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(with_corpus, targets, "in the order of their names");
    let bytes: u64 = targets
        .iter()
        .flat_map(|name| entries(&corpora().join(name)))
        .map(|path| fs::metadata(path).expect("it is there").len())
        .sum();
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

macro_rules! replayed {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })+

        #[test]
        fn every_target_is_replayed() {
            let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(targets, [$(stringify!($name)),+]);
        }
    };
}

replayed! {
    addresses
    audit_job
    client_message
    create
    engine
    http
    json
    merge
    patch
    pubsub_message
    query
    record
    resp
    settings
    tokens
    websocket
}
