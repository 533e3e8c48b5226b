//! Holds that no file of the server crate imports itself through other files. Knows how modules are laid out in files and
//! how paths name what is in them; knows nothing of what the files do.
//!
//! The rule: a file imports the file that defines what its paths name, in `use` and in code alike. What a path only passes
//! through is not imported, so that a `mod.rs` that declares its children and re-exports from them is nobody's import, and
//! `super::Name` leads through its `use` to where `Name` is defined. Whoever re-exports a name imports it like any other.
//! So a `mod.rs` with definitions of its own that its children need must not itself need these children.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use super::{files, root};

/// Imports that make circles and may stay for now, with a reason each.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// Keywords before the name of an item.
const ITEMS: [&str; 9] = ["struct", "enum", "trait", "fn", "const", "static", "type", "union", "macro_rules"];

/// A file, as far as imports are concerned.
#[derive(Default)]
struct File {
    path: String,
    /// The modules that it declares.
    children: BTreeSet<String>,
    /// The items that it defines.
    items: BTreeSet<String>,
    /// The names that it gives to paths with `use`.
    names: BTreeMap<String, Vec<String>>,
    /// Each path that it names.
    paths: Vec<Vec<String>>,
}

/// All files of a crate, by the paths of their modules.
type Crate = BTreeMap<Vec<String>, File>;

/// What a path leads to.
enum Target {
    /// An item of this module.
    Item(Vec<String>),
    /// The module itself.
    Module(Vec<String>),
    /// What is none of the crate's.
    Foreign,
}

/// The words and signs of code, without comments, texts and characters; `::` is one sign.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_part = |next: char| next.is_alphanumeric() || next == '_';
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_text(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + rest.find('"').unwrap_or_default() + 1;
            rest[start..].find(&end).map_or(rest.len(), |len| start + len + end.len())
        } else if first == '"' {
            text_len(rest)
        } else if first == '\'' {
            character_len(rest)
        } else if is_part(first) {
            let len = rest.find(|next| !is_part(next)).unwrap_or(rest.len());
            found.push(&rest[..len]);
            len
        } else {
            let len = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                found.push(&rest[..len]);
            }
            len
        };
        rest = &rest[len..];
    }
    found
}

/// How many hashes stand around a raw text that begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a text with its quotes.
fn text_len(rest: &str) -> usize {
    let mut is_escaped = true;
    for (at, next) in rest.char_indices() {
        match next {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character with its quotes, or of the quote of a lifetime.
fn character_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let after = at + escaped.len_utf8();
            rest[after..].find('\'').map_or(rest.len(), |len| after + len + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The paths that a `use` names, each with the name that it is given; returns how many tokens it has.
fn read_use(tokens: &[&str], found: &mut Vec<(Vec<String>, String)>) -> usize {
    let mut lists: Vec<Vec<String>> = vec![Vec::new()];
    let (mut path, mut alias, mut is_alias) = (Vec::new(), None, false);
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "::" => {}
            "{" => lists.push(std::mem::take(&mut path)),
            "," | "}" | ";" => {
                if !path.is_empty() {
                    let is_self = path.last().is_some_and(|last| last == "self") && path.len() + lists.len() > 2;
                    let mut whole: Vec<String> = lists.concat();
                    whole.append(&mut path);
                    if is_self {
                        whole.pop();
                    }
                    let name = alias.take().or_else(|| whole.last().cloned()).unwrap_or_default();
                    found.push((whole, name));
                }
                is_alias = false;
                match *token {
                    "}" => drop(lists.pop()),
                    ";" => return at,
                    _ => {}
                }
            }
            "as" => is_alias = true,
            name if is_alias => alias = Some(name.to_owned()),
            name => path.push(name.to_owned()),
        }
    }
    tokens.len()
}

fn read(path: &str, code: &str) -> File {
    let mut file = File { path: path.to_owned(), ..File::default() };
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let tokens = tokens(code);
    let (mut at, mut depth) = (0, 0);
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1).copied().unwrap_or_default();
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            // What says who may see an item imports nothing.
            "pub" if next == "(" => at += tokens[at..].iter().position(|token| *token == ")").unwrap_or_default(),
            "mod" if tokens.get(at + 2) == Some(&";") => {
                file.children.insert(next.to_owned());
                at += 2;
            }
            "use" if next != "<" => {
                let mut found = Vec::new();
                at += read_use(&tokens[at + 1..], &mut found);
                for (path, name) in found {
                    file.names.insert(name, path.clone());
                    file.paths.push(path);
                }
            }
            word if depth == 0 && ITEMS.contains(&word) => {
                let name = if next == "!" { tokens.get(at + 2).copied().unwrap_or_default() } else { next };
                file.items.insert(name.to_owned());
            }
            _ if next == "::" => {
                let mut path = vec![(*token).to_owned()];
                while tokens.get(at + 1) == Some(&"::") && tokens.get(at + 2).is_some_and(|next| is_word(next)) {
                    path.push(tokens[at + 2].to_owned());
                    at += 2;
                }
                file.paths.push(path);
            }
            _ => {}
        }
        at += 1;
    }
    file
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// What a path leads to that is named in a module.
fn resolve(path: &[String], module: &[String], all: &Crate, depth: usize) -> Target {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let (mut at, rest) = match path.first().map(String::as_str) {
        Some("crate") => (Vec::new(), &path[1..]),
        Some("self") => (module.to_vec(), &path[1..]),
        Some("super") => (module[..module.len().saturating_sub(supers)].to_vec(), &path[supers..]),
        Some(first) => {
            let is_known = |file: &File| file.names.contains_key(first) || file.children.contains(first);
            match all.get(module) {
                Some(file) if is_known(file) => (module.to_vec(), path),
                _ => return Target::Foreign,
            }
        }
        None => return Target::Foreign,
    };
    for (index, name) in rest.iter().enumerate() {
        let Some(file) = all.get(&at) else { return Target::Foreign };
        let is_last = index + 1 == rest.len();
        let is_child = file.children.contains(name);
        let named = file.names.get(name).filter(|named| **named != *path && depth < 16);
        match named {
            // A function may have the name of the module that it is in.
            Some(named) if is_last || !is_child => match resolve(named, &at, all, depth + 1) {
                Target::Module(module) => at = module,
                end @ (Target::Item(_) | Target::Foreign) => return end,
            },
            _ if is_child => at.push(name.clone()),
            _ => return Target::Item(at),
        }
    }
    Target::Module(at)
}

/// Which files each file imports.
fn imports(all: &Crate) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, file) in all {
        let found = graph.entry(&file.path).or_default();
        for path in &file.paths {
            if let Target::Item(target) = resolve(path, module, all, 0)
                && let Some(target) = all.get(&target).filter(|target| target.path != file.path)
            {
                found.insert(&target.path);
            }
        }
    }
    graph
}

/// The shortest circle through each file that is in one.
fn circles<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let mut found = BTreeSet::new();
    for start in graph.keys() {
        let (mut paths, mut seen) = (VecDeque::from([vec![*start]]), BTreeSet::new());
        'search: while let Some(path) = paths.pop_front() {
            for next in path.last().and_then(|last| graph.get(last)).into_iter().flatten() {
                if next == start {
                    // Each circle once, from whichever of its files.
                    let least = (0..path.len()).min_by_key(|at| path[*at]).unwrap_or_default();
                    found.insert([&path[least..], &path[..least]].concat());
                    break 'search;
                }
                if seen.insert(*next) {
                    paths.push_back([&path[..], &[*next]].concat());
                }
            }
        }
    }
    found
}

fn tree(files: &[(&str, &str)]) -> Crate {
    let of = |(path, code): &(&str, &str)| {
        let stem = path.trim_end_matches(".rs");
        let names = stem.split('/').filter(|name| !["mod", "lib"].contains(name));
        (names.map(str::to_owned).collect(), read(path, code))
    };
    files.iter().map(of).collect()
}

fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let all = tree(files);
    circles(&imports(&all)).iter().map(|circle| circle.join(" ")).collect()
}

#[test]
fn circles_are_found_however_they_are_written() {
    for code in [
        "use crate::b::C;",
        "use super::b::{self, C};",
        "use super::b; fn f() { b::g(); }",
        "use super::b as other; fn f() { let text = \"}\"; other::g::<'_', '\\''>(); }",
        "fn f(c: &crate::b::C) {}",
        "fn f() { super::b::g() }",
        "use super::D;",
        "use crate::{D as E};",
        "pub(crate) use super::b::C;",
    ] {
        let files = [("lib.rs", "mod a; mod b; pub use b::C as D;"), ("a.rs", code), ("b.rs", "use crate::a::{B};")];
        assert_eq!(circles_of(&files), ["a.rs b.rs"], "{code}");
        let free = [files[0], files[1], ("b.rs", "pub struct C; // crate::a::B\nconst D: &str = r#\"crate::a::B\"#;")];
        assert_eq!(circles_of(&free), Vec::<String>::new(), "{code}");
    }
    let (a, b, c) = ("use crate::b::{g as h};", "use super::c::x::Y;", "impl crate::a::T for S {}");
    let three = [("lib.rs", "mod a; mod b; mod c;"), ("a.rs", a), ("b.rs", b), ("c.rs", "mod x;"), ("c/x.rs", c)];
    assert_eq!(circles_of(&three), ["a.rs b.rs c/x.rs"]);
}

#[test]
fn a_parent_that_only_declares_and_re_exports_is_in_no_circle() {
    let (x, y) = (("a/x.rs", "use super::Y;"), ("a/y.rs", "pub struct Y;"));
    let declares = "mod x; mod y; pub use x::f; pub use y::Y;";
    assert_eq!(circles_of(&[("lib.rs", "mod a;"), ("a/mod.rs", declares), x, y]), Vec::<String>::new());
    // What it defines is a part of the circle, and so is a name that only passes through.
    let defines = "mod x; mod y; pub use x::f; pub struct Y;";
    assert_eq!(circles_of(&[("lib.rs", "mod a;"), ("a/mod.rs", defines), x, y]), ["a/mod.rs a/x.rs"]);
    let through = ("a/y.rs", "use super::f; pub struct Y;");
    assert_eq!(circles_of(&[("lib.rs", "mod a;"), ("a/mod.rs", declares), x, through]), ["a/x.rs a/y.rs"]);
    // Whoever uses its children does no harm while they do not use it.
    let uses = "mod x; mod y; pub fn g() { x::f() }";
    assert_eq!(circles_of(&[("lib.rs", "mod a;"), ("a/mod.rs", uses), ("a/x.rs", ""), y]), Vec::<String>::new());
}

#[test]
fn no_file_imports_itself_through_others() {
    let src = root().join("src");
    let mut texts = Vec::new();
    for file in files(&src) {
        let path = file.strip_prefix(&src).expect("it is below").to_str().expect("names are text").to_owned();
        if path != "main.rs" && !path.contains("/tests") {
            texts.push((path, fs::read_to_string(&file).expect("it can be read")));
        }
    }
    let texts: Vec<_> = texts.iter().map(|(path, text)| (&**path, &**text)).collect();
    let all = tree(&texts);
    assert!(all.len() > 150, "only {} files were found", all.len());
    let mut graph = imports(&all);
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 500, "few imports were found");
    for (from, to, _) in ALLOWED {
        let is_there = graph.get_mut(from).is_some_and(|imports| imports.remove(to));
        assert!(is_there, "{from} does not import {to}: it needs no row");
    }
    let circles = circles(&graph);
    let told: Vec<_> = circles.iter().map(|circle| circle.join(" -> ")).collect();
    assert!(told.is_empty(), "files that import themselves through others:\n{}", told.join("\n"));
}
