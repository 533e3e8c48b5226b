//! Holds that no file of the load generator imports itself through others, and that it knows nothing of the server's code. Knows
//! how modules are laid out in files, and nothing of what they do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The source code of each file, by the path of its module.
type Modules = BTreeMap<Vec<String>, String>;

/// All files below a directory, without tests.
fn modules(directory: &Path, inside: &[String], found: &mut Modules) {
    for entry in fs::read_dir(directory).expect("it is a directory") {
        let path = entry.expect("it can be read").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("names are text").to_owned();
        let mut module = inside.to_vec();
        if !["mod", "main"].contains(&&*stem) {
            module.push(stem.clone());
        }
        if path.is_dir() {
            modules(&path, &module, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "tests" {
            let text = fs::read_to_string(&path).expect("it can be read");
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            found.insert(module, code.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// Every path that code names, a path for each name of a list.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut lists: Vec<Vec<String>> = Vec::new();
    let mut path = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_part = |next: char| next.is_alphanumeric() || next == '_';
        let len = rest.find(|next| !is_part(next)).unwrap_or(rest.len());
        if len > 0 {
            if path.is_empty() {
                path = lists.last().cloned().unwrap_or_default();
            }
            path.push(rest[..len].to_owned());
            rest = &rest[len..];
        } else if let Some(after) = rest.strip_prefix("::") {
            rest = after;
            if let Some(inside) = rest.strip_prefix('{') {
                lists.push(std::mem::take(&mut path));
                rest = inside;
            }
            continue;
        } else {
            // Braces that open no list of names close none.
            match first {
                '{' => lists.push(Vec::new()),
                '}' => drop(lists.pop()),
                _ => {}
            }
            rest = &rest[first.len_utf8()..];
        }
        if !rest.starts_with("::") && !path.is_empty() {
            found.push(std::mem::take(&mut path));
        }
    }
    found
}

/// The files that a file imports, by the paths of their modules.
fn imports(module: &[String], code: &str, modules: &Modules) -> BTreeSet<Vec<String>> {
    let resolve = |path: Vec<String>| {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let absolute = match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("super") => [&module[..module.len().saturating_sub(supers)], &path[supers..]].concat(),
            // A name alone is that of a variable, or declares a module.
            _ if path.len() == 1 => return None,
            _ => [module, &path[..]].concat(),
        };
        // The longest beginning that is a file; a path that names nothing of ours leads back to its own file.
        let lens = (1..=absolute.len()).rev();
        lens.map(|len| absolute[..len].to_vec()).find(|path| modules.contains_key(path))
    };
    // What says who may see an item imports nothing.
    let code = code.replace("pub(super)", "pub").replace("pub(crate)", "pub");
    paths(&code).into_iter().filter_map(resolve).filter(|path| path[..] != *module).collect()
}

/// The files that are left when whatever imports nothing but files that are gone is taken away: those in a circle, and
/// those that import them.
fn circles(modules: &Modules) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let each = modules.iter().map(|(module, code)| (module.clone(), imports(module, code, modules)));
    let mut left: BTreeMap<_, _> = each.collect();
    loop {
        let free: Vec<_> =
            left.iter().filter(|(_, imports)| imports.is_empty()).map(|(module, _)| module.clone()).collect();
        if free.is_empty() {
            return left;
        }
        for module in &free {
            left.remove(module);
        }
        for imports in left.values_mut() {
            imports.retain(|import| !free.contains(import));
        }
    }
}

fn tree(files: &[(&str, &str)]) -> Modules {
    let path = |path: &str| path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    files.iter().map(|(module, code)| (path(module), (*code).to_owned())).collect()
}

#[test]
fn circles_are_found_however_they_are_written() {
    for code in ["use crate::b::C;", "use super::{z, b::{self, C}};", "fn f() { crate::b::g(); }", "use super::b;"] {
        assert_eq!(circles(&tree(&[("a", code), ("b", "use crate::a::B;")])).len(), 2, "{code}");
        assert!(circles(&tree(&[("a", code), ("b", "use crate::c::B;"), ("c", "")])).is_empty(), "{code}");
    }
    assert!(circles(&tree(&[("a", "use b::C;"), ("a/b", "pub(super) struct C;")])).is_empty());
    let scenarios = [("s", "mod a; const ALL: [S; 1] = [a::ONE];"), ("s/a", "use super::S;")];
    assert_eq!(circles(&tree(&scenarios)).len(), 2);
}

#[test]
fn no_file_imports_itself_through_others() {
    let mut found = Modules::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut found);
    assert!(found.len() > 30, "only {} files were found", found.len());
    let circles = circles(&found);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn the_load_generator_depends_on_nothing_of_the_server() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("there is one");
    let names: Vec<_> = manifest.lines().filter_map(|line| line.split_once([' ', '.']).map(|(name, _)| name)).collect();
    assert!(names.contains(&"tokio") && !names.contains(&"synckairos"), "{names:?}");
}
