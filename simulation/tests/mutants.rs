//! Each mutant can be made: its text is in its file, once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use simulation::mutants::MUTANTS;

#[test]
fn each_changes_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for mutant in MUTANTS {
        let text = fs::read_to_string(root.join(mutant.file)).expect("it is there");
        assert_eq!(text.matches(mutant.from).count(), 1, "{}: {:?} in {}", mutant.name, mutant.from, mutant.file);
        assert_ne!(mutant.from, mutant.to, "{}", mutant.name);
    }
    let names: BTreeSet<_> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), MUTANTS.len());
    assert!(MUTANTS.len() >= 30);
}
