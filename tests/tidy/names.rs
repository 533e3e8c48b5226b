//! Holds that no type of the server crate has the name of another one, so that a name means one thing. Knows how types are
//! defined in Rust, and nothing of what they are for.

use std::collections::BTreeMap;
use std::fs;

use super::{files, root};

/// Names that may be given more than once, with a reason each.
const ALLOWED: &[(&str, &str)] = &[];

/// The names of the types that code defines at the top of a file.
fn defined(code: &str) -> impl Iterator<Item = &str> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter_map(|line| {
        let line = match line.strip_prefix("pub") {
            Some(rest) => rest.split_once(") ").map_or(rest, |(_, rest)| rest).trim_start(),
            None => line,
        };
        let kinds = ["struct ", "enum ", "union ", "trait ", "type ", "unsafe trait ", "auto trait "];
        let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
        rest.split(|next: char| !next.is_alphanumeric() && next != '_').next()
    })
}

#[test]
fn definitions_are_found_however_visible_they_are() {
    let code = "struct A;\npub enum B {}\npub(super) trait C {}\npub(in crate::x) type D<T> = T;\n    struct Inner;\n// struct E;\n\
                pub(crate) struct F<'a>(&'a str);\nconst STRUCT: u8 = 0;\nfn g() {}\n#[cfg(test)]\nmod tests {\nstruct H;\n";
    assert_eq!(defined(code).collect::<Vec<_>>(), ["A", "B", "C", "D", "F"]);
}

#[test]
fn no_type_name_is_defined_twice() {
    let src = root().join("src");
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files(&src) {
        let path = file.strip_prefix(&src).expect("it is below").to_str().expect("names are text").to_owned();
        if path.contains("/tests/") || path.ends_with("/tests.rs") {
            continue;
        }
        let code = fs::read_to_string(&file).expect("it can be read");
        for name in defined(&code) {
            places.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    assert!(places.len() > 300, "only {} types were found", places.len());
    let twice: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    for (name, _) in ALLOWED {
        assert!(twice.iter().any(|(twice, _)| twice == name), "{name} is defined once: it needs no row");
    }
    let told: Vec<_> = twice.iter().filter(|(name, _)| ALLOWED.iter().all(|(allowed, _)| allowed != name)).collect();
    assert!(told.is_empty(), "{told:#?}");
}
