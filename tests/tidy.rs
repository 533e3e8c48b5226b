//! Holds what ARCHITECTURE.md and CONTRIBUTING.md say against the code: who imports whom, which crate lives where, who
//! asks for the time, and that what is written down about the server is what the server does.

mod circles;
mod lockfiles;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use synckairos::config::SETTINGS;
use test_support::sources::files;

/// Every module and which others it may name; `main` is the program.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("runtime", &[]),
    ("clock", &["engine", "runtime"]),
    ("memory_limit", &[]),
    ("random", &["runtime"]),
    ("hashing", &["random"]),
    ("client", &[]),
    ("process", &["engine"]),
    ("supervision", &["clock", "random", "runtime"]),
    ("readiness", &[]),
    ("timekeeping", &["clock", "runtime", "supervision"]),
    ("wire", &["engine"]),
    ("secret", &[]),
    ("tls", &[]),
    ("outbound", &["runtime", "tls"]),
    ("auth", &["engine", "runtime", "clock", "random", "client", "wire", "secret", "outbound"]),
    ("redis", &["hashing", "runtime", "engine", "clock", "client", "secret", "supervision", "tls"]),
    ("audit", &["random", "runtime", "engine", "wire", "clock", "supervision", "redis"]),
    (
        "store",
        &["hashing", "random", "runtime", "engine", "wire", "clock", "client", "supervision", "readiness", "redis"],
    ),
    ("instances", &["runtime", "supervision", "redis", "store"]),
    ("postgres", &["random", "engine", "wire", "secret", "tls", "clock", "supervision", "audit", "store"]),
    ("revocations", &["runtime", "engine", "readiness", "wire", "auth", "store"]),
    ("sessions", &["hashing", "runtime", "engine", "client", "supervision", "wire", "store"]),
    ("deadlines", &["hashing", "runtime", "engine", "supervision", "store", "sessions"]),
    ("problem", &["engine", "auth", "wire", "store", "revocations", "sessions"]),
    ("shutdown", &[]),
    ("caller", &["client", "engine", "auth", "store"]),
    (
        "ws",
        &[
            "engine",
            "client",
            "auth",
            "clock",
            "caller",
            "supervision",
            "wire",
            "store",
            "sessions",
            "problem",
            "shutdown",
        ],
    ),
    (
        "http",
        &[
            "engine",
            "random",
            "client",
            "auth",
            "caller",
            "supervision",
            "readiness",
            "wire",
            "store",
            "revocations",
            "sessions",
            "problem",
            "shutdown",
            "ws",
            "clock",
        ],
    ),
    ("config", &["engine", "auth", "http", "client", "redis", "secret", "postgres"]),
    ("logging", &["config"]),
    ("sd_notify", &["supervision"]),
    (
        "serve",
        &[
            "engine",
            "clock",
            "memory_limit",
            "random",
            "runtime",
            "client",
            "process",
            "timekeeping",
            "wire",
            "redis",
            "audit",
            "auth",
            "store",
            "instances",
            "postgres",
            "revocations",
            "sessions",
            "deadlines",
            "problem",
            "shutdown",
            "ws",
            "http",
            "config",
            "logging",
            "readiness",
            "supervision",
        ],
    ),
    ("queue_admin", &["audit", "config", "redis", "wire"]),
    ("key_admin", &["auth", "client", "clock", "secret", "wire"]),
    ("command_line", &["auth", "config", "engine", "key_admin", "queue_admin", "wire"]),
    ("maintenance", &["clock", "engine", "postgres", "store", "supervision"]),
    ("healthcheck", &[]),
    (
        "main",
        &[
            "command_line",
            "config",
            "healthcheck",
            "key_admin",
            "logging",
            "maintenance",
            "queue_admin",
            "sd_notify",
            "serve",
            "supervision",
        ],
    ),
];

/// Crates that live in one place, by the beginnings of paths under `src`.
const LIVES_IN: &[(&str, &[&str])] = &[
    ("getrandom", &["random.rs"]),
    ("base64", &["auth/"]),
    ("jsonwebtoken", &["auth/"]),
    ("ring", &["auth/", "tls.rs"]),
    ("subtle", &["auth/"]),
    ("secrecy", &["secret.rs"]),
    ("serde", &["wire/"]),
    ("serde_json", &["wire/"]),
    ("itoa", &["wire/", "http/", "redis/"]),
    ("memchr", &["wire/"]),
    ("hyper", &["http/", "outbound/", "ws/upgrade.rs"]),
    ("hyper_util", &["http/", "outbound/"]),
    ("tokio_tungstenite", &["ws/"]),
    ("flate2", &["http/compression.rs"]),
    ("futures_util", &["runtime/", "auth/keeper.rs", "ws/", "http/", "redis/", "store/redis/", "supervision/"]),
    ("redis", &["redis/"]),
    ("redb", &["store/file/tables/"]),
    ("tokio_postgres", &["postgres/"]),
    ("tokio_postgres_rustls", &["postgres/"]),
    ("rustix", &["clock.rs", "process.rs"]),
    (
        "rustls",
        &["tls.rs", "outbound/", "redis/endpoints/deployment.rs", "redis/endpoints/endpoint.rs", "postgres/tls.rs"],
    ),
    ("rustls_native_certs", &["tls.rs"]),
    ("tokio_rustls", &["outbound/", "redis/endpoints/endpoint.rs"]),
    ("crossbeam_channel", &["postgres/", "audit/"]),
    (
        "prometheus_client",
        &[
            "http/",
            "ws/",
            "auth/keeper.rs",
            "audit/away.rs",
            "audit/metrics.rs",
            "store/budget.rs",
            "store/metrics.rs",
            "sessions/recovery.rs",
            "supervision/",
            "logging.rs",
            "process.rs",
            "serve/",
            "timekeeping.rs",
            "deadlines.rs",
        ],
    ),
    ("clap", &["command_line.rs", "main.rs"]),
    ("tracing_subscriber", &["logging.rs"]),
];

/// A file of the library or the program, without comments and tests.
struct Source {
    /// Below `src`, such as `http/handlers/mod.rs`.
    path: String,
    code: String,
}

impl Source {
    /// The module at the top of the crate that it belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().expect("a path has a beginning")
    }

    /// How many modules it is in, itself included.
    fn depth(&self) -> usize {
        self.path.split('/').count() - usize::from(self.path.ends_with("/mod.rs"))
    }

    /// The top modules that it names.
    fn imports(&self) -> BTreeSet<&str> {
        let root = if self.module() == "main" { "synckairos" } else { "crate" };
        let mut imports = BTreeSet::new();
        for after in paths_of(&self.code, root) {
            match after.strip_prefix('{') {
                Some(list) => imports.extend(first_names(list)),
                None => imports.extend(name(after)),
            }
        }
        imports.remove(self.module());
        imports
    }
}

/// What follows `root::` wherever it begins a path.
fn paths_of<'c>(code: &'c str, root: &str) -> Vec<&'c str> {
    let start = format!("{root}::");
    let begins = |at: usize| !code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:$".contains(before));
    code.match_indices(&start).filter(|(at, _)| begins(*at)).map(|(at, _)| &code[at + start.len()..]).collect()
}

/// The name at the beginning of a path.
fn name(path: &str) -> Option<&str> {
    let end = path.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(path.len());
    (end > 0).then(|| &path[..end])
}

/// The names at the beginning of each path of a list, up to its closing brace.
fn first_names(list: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut is_start = true;
    for (at, next) in list.char_indices() {
        match next {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            _ if is_start && !next.is_whitespace() => {
                names.extend(name(&list[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is part of the library or the program.
fn sources() -> Vec<Source> {
    let mut sources = vec![source("main.rs")];
    for module in modules() {
        add(&mut sources, "", &module);
    }
    assert!(sources.len() > 40, "only {} files were found", sources.len());
    sources
}

/// Adds a module and those inside it, tests aside.
fn add(sources: &mut Vec<Source>, directory: &str, module: &str) {
    let inside = format!("{directory}{module}/");
    let names = [format!("{directory}{module}.rs"), format!("{inside}mod.rs")];
    let path = names.iter().find(|path| root().join("src").join(path).exists());
    let module = source(path.unwrap_or_else(|| panic!("none of {names:?} exists")));
    let declared = module.code.lines().filter_map(|line| line.strip_suffix(';')?.split_once("mod "));
    let declared = declared.filter(|(visibility, _)| visibility.is_empty() || visibility.starts_with("pub"));
    let declared: Vec<_> = declared.map(|(_, name)| name.to_owned()).collect();
    sources.push(module);
    for name in declared.iter().filter(|name| *name != "tests") {
        add(sources, &inside, name);
    }
}

fn source(path: &str) -> Source {
    let text = fs::read_to_string(root().join("src").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { path: path.to_owned(), code: code(&text) }
}

/// Without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().expect("a text has a beginning");
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules in the order in which `lib.rs` names them.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("it can be read");
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    modules.map(str::to_owned).collect()
}

/// What each module names, and where.
fn imports() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for source in sources() {
        let imports = all.entry(source.module().to_owned()).or_default();
        imports.extend(source.imports().into_iter().map(|name| (name.to_owned(), source.path.clone())));
    }
    all
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code = "use crate::a;\nuse crate::{b, c::{self, D, e::F}, g::*,\n  h as i};\nlet x: crate::j::K = \
                self::crate::no; my_crate::no; $crate::no; crate::l::m(crate::n::O);";
    let source = Source { path: "main_thing.rs".to_owned(), code: code.to_owned() };
    let imports: Vec<_> = source.imports().into_iter().collect();
    assert_eq!(imports, ["a", "b", "c", "g", "h", "j", "l", "n"]);
}

#[test]
fn every_module_has_a_row_and_every_row_a_module() {
    let mut with_row: Vec<_> = MAY_IMPORT.iter().map(|(module, _)| (*module).to_owned()).collect();
    let mut modules = modules();
    modules.push("main".to_owned());
    with_row.sort();
    modules.sort();
    assert_eq!(with_row, modules);
    let known: BTreeSet<_> = modules.iter().map(String::as_str).collect();
    for source in sources().iter().filter(|source| known.contains(source.module())) {
        for import in source.imports() {
            assert!(known.contains(import), "{} names {import}, which is no module", source.path);
        }
    }
}

#[test]
fn modules_import_whom_they_may() {
    let imports = imports();
    for (module, may) in MAY_IMPORT {
        for (import, path) in &imports[*module] {
            assert!(may.contains(&&**import), "{path} names {import}, but {module} may name {may:?} only");
        }
    }
}

/// From what knows nothing of the rest to what knows it all, so that nothing goes round in a circle.
#[test]
fn modules_import_only_what_stands_above_them() {
    let mut above = BTreeSet::new();
    let imports = imports();
    for module in modules() {
        for (import, path) in &imports[&module] {
            assert!(above.contains(import), "{path} names {import}, which lib.rs has below {module}");
        }
        above.insert(module);
    }
}

/// `super` never leads out of a module: the crate is named as `crate`, where the table is held against it.
#[test]
fn no_super_path_leaves_a_module() {
    for source in sources() {
        let too_far = "super::".repeat(source.depth());
        assert!(!source.code.contains(&too_far), "{} climbs to the crate with {too_far}", source.path);
    }
}

#[test]
fn crates_live_where_they_belong() {
    let mut found = BTreeSet::new();
    for source in sources() {
        for (name, places) in LIVES_IN {
            if !paths_of(&source.code, name).is_empty() {
                let is_at_home = places.iter().any(|place| source.path.starts_with(place));
                assert!(is_at_home, "{} uses {name}, which lives in {places:?}", source.path);
                found.insert(name);
            }
        }
    }
    assert_eq!(found, LIVES_IN.iter().map(|(name, _)| name).collect(), "what nobody uses needs no row");
}

#[test]
fn the_engine_is_pure() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it can be read");
    let dependencies = manifest.split("[dependencies]\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    let names = dependencies.expect("there are some").lines().filter_map(|line| Some(line.split_once(' ')?.0));
    let names: Vec<_> = names.map(|name| name.replace('-', "_")).collect();
    assert!(names.contains(&"tokio".to_owned()) && names.contains(&"parking_lot".to_owned()), "{names:?}");
    for source in sources().iter().filter(|source| source.module() == "engine") {
        for name in &names {
            assert!(paths_of(&source.code, name).is_empty(), "{} uses {name}", source.path);
        }
        let code = source.code.replace("std::sync::Arc", "");
        for outside in ["std::time", "std::thread", "std::sync", "std::fs", "std::env", "std::net", "std::io"] {
            assert!(!code.contains(outside), "{} uses {outside}", source.path);
        }
    }
}

/// Tokio's clock only measures how long to wait; it never says what time it is.
#[test]
fn only_the_clock_asks_for_the_time() {
    let mut asks = Vec::new();
    for source in sources() {
        let foreign = source.code.replace("tokio::time::Instant", "");
        if ["Instant", "SystemTime", "UNIX_EPOCH"].iter().any(|name| {
            let is_word = |at: usize| {
                let (before, after) = (&foreign[..at], &foreign[at + name.len()..]);
                let part = |next: char| next.is_alphanumeric() || next == '_';
                !before.ends_with(part) && !after.starts_with(part)
            };
            foreign.match_indices(name).any(|(at, _)| is_word(at))
        }) {
            asks.push(source.path);
        }
    }
    assert_eq!(asks, ["clock.rs"]);
}

/// What a simulation runs waits, and spawns, by the runtime alone.
#[test]
fn what_is_simulated_waits_by_the_runtime() {
    let simulated =
        ["clock", "redis", "audit", "store", "instances", "sessions", "deadlines", "supervision", "timekeeping"];
    for source in sources().iter().filter(|source| simulated.contains(&source.module())) {
        for real in ["tokio::time", "JoinSet", "RandomState", "collections::HashMap", "collections::HashSet"] {
            assert!(!source.code.contains(real), "{} uses {real}", source.path);
        }
        let selects = source.code.split("select! {").skip(1);
        let is_biased = |select: &str| {
            let mut lines = select.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
            lines.next() == Some("biased;")
        };
        assert!(selects.clone().all(is_biased), "{} leaves it to chance which of several is first", source.path);
    }
}

/// Nobody forgets what it spawned: `supervision` notices how it ends, and these few say why they need not ask it.
#[test]
fn only_supervision_spawns() {
    let own = [
        // The log's own thread: there is no supervisor before there is a log, and it could tell of no panic.
        "logging.rs",
        // Reads a file, and waits for it: a panic is an error of the connection that is being made, which is told and retried.
        "redis/endpoints/credentials.rs",
        // What drives a library's connection: whoever uses that is told how it ended, and makes another one.
        "redis/endpoints/endpoint.rs",
        "postgres/connection.rs",
    ];
    let mut found = BTreeSet::new();
    for source in sources().iter().filter(|source| !["runtime", "supervision"].contains(&source.module())) {
        let spawns = ["tokio::spawn", "runtime::spawn", "spawn_blocking", "thread::spawn", "thread::Builder"];
        if spawns.iter().any(|spawn| source.code.contains(spawn)) {
            assert!(own.contains(&&*source.path), "{} spawns by itself", source.path);
            found.insert(source.path.clone());
        }
        if ["JoinSet", "TaskSet"].iter().any(|set| source.code.contains(set)) {
            // A key may come first.
            let given = |rest: &str| rest.trim_start().lines().take(2).collect::<String>();
            let loose = source.code.split(".spawn(").skip(1).map(given);
            let is_kept =
                |given: &str| ["guarded(", "keep(", "\"", "deadlines::fire("].iter().any(|by| given.contains(by));
            let loose: Vec<_> = loose.filter(|given| !is_kept(given)).collect();
            assert_eq!(loose, Vec::<String>::new(), "{} spawns what nobody keeps", source.path);
        }
    }
    assert_eq!(found.len(), own.len(), "who spawns nothing needs no row: {found:?}");
}

#[test]
fn every_file_says_what_it_is() {
    let mut count = 0;
    for directory in ["src", "tests", "loadtest", "benches", "fuzz/src", "fuzz/targets", "simulation"] {
        for file in files(&root().join(directory)) {
            let text = fs::read_to_string(&file).expect("it can be read");
            assert!(text.starts_with("//! "), "{} does not begin with what it is", file.display());
            count += 1;
        }
    }
    assert!(count > 80, "only {count} files were found");
}

#[test]
fn the_settings_page_lists_every_setting() {
    let page = fs::read_to_string(root().join("docs/run/settings.md")).expect("there is one");
    let table = page.lines().filter(|line| line.starts_with('|'));
    let rows: Vec<Vec<_>> =
        table.skip(2).map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect();
    let name =
        |row: &Vec<String>| SETTINGS.iter().find(|setting| row.contains(&setting.name.to_owned())).map(|it| it.name);
    let named: Vec<_> = rows.iter().map(name).collect();
    let all: Vec<_> = SETTINGS.iter().map(|setting| Some(setting.name)).collect();
    assert_eq!(named, all, "a row for each setting, in order");
    for (setting, row) in SETTINGS.iter().zip(&rows) {
        for cell in [setting.default, setting.help] {
            assert!(row.contains(&cell.to_owned()), "{} has no cell {cell:?}: {row:?}", setting.name);
        }
    }
}

/// Each row of the table of bounds names a test that there is.
#[test]
fn every_bound_has_a_test() {
    let page = fs::read_to_string("docs/change/bounds.md").expect("there is a table of bounds");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what grows |"));
    let mut count = 0;
    for row in rows {
        let test = row.trim_end_matches(" |").rsplit(" | ").next().expect("a row has columns").trim_matches('`');
        let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("no test: {row}"));
        let texts = ["tests", "tests/services", "src"].map(|folder| fs::read_to_string(Path::new(folder).join(file)));
        let is_there = texts.into_iter().flatten().any(|text| text.contains(&format!("fn {name}(")));
        assert!(is_there, "{test} is not there: {row}");
        count += 1;
    }
    assert!(count >= 20, "{count} rows");
}
