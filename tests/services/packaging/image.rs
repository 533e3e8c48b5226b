//! The Dockerfile: the build has all files that it needs, and the program accepts its settings.

use test_support::program::{Program, command, output};

use super::{default, path, text};

/// Instructions with their arguments, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let file = text("Dockerfile").replace("\\\n", " ");
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

/// The arguments of an instruction in the image that is shipped.
fn shipped(name: &str) -> Vec<String> {
    let all = instructions();
    let last = all.iter().rposition(|(name, _)| name == "FROM").expect("it has a stage");
    all[last..].iter().filter(|(given, _)| given == name).map(|(_, rest)| rest.clone()).collect()
}

/// A list as Docker writes it: JSON.
fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_image_is_small_and_not_root() {
    let stages: Vec<_> = instructions().into_iter().filter(|(name, _)| name == "FROM").map(|(_, from)| from).collect();
    let rust = text("Cargo.toml");
    let rust = rust.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("it is told");
    // Both are Debian 12, whose name is bookworm.
    let expected = [format!("rust:{rust}-slim-bookworm AS build"), "gcr.io/distroless/cc-debian12:nonroot".to_owned()];
    assert_eq!(stages, expected);
    assert!(shipped("RUN").is_empty(), "there is nothing to run a command with");
    assert!(shipped("USER").is_empty(), "nobody makes it root again");
}

#[tokio::test]
async fn the_program_accepts_the_settings_of_the_image() {
    assert_eq!(shipped("EXPOSE"), [default("PORT")]);
    let told = shipped("ENV").remove(0);
    let (name, value) = told.split_once('=').expect("a setting");
    default(name);
    // Whoever reaches a container is not asked to say so by accident.
    assert_eq!(output(command().env(name, value).env("PORT", "0")).status.code(), Some(2));
    let program = Program::start(&[(name, value), ("AUTH", "off")]);
    let health = shipped("HEALTHCHECK").remove(0);
    let (_, health) = health.split_once("CMD ").expect("it has a command");
    let mut check = command();
    check.args(&list(health)[1..]).env(name, value).env("PORT", program.address.port().to_string());
    let check = tokio::task::spawn_blocking(move || output(&mut check)).await.expect("it does not panic");
    assert_eq!(String::from_utf8_lossy(&check.stderr), "");
    assert_eq!([&list(health)[0], &list(&shipped("ENTRYPOINT")[0])[0]], ["synckairos"; 2]);
    assert!(shipped("COPY")[0].ends_with(" /usr/local/bin/synckairos"), "that is in PATH");
}

/// What the sources include is there when the image is built.
#[test]
fn the_image_is_built_from_what_it_needs() {
    let ignored = text(".dockerignore");
    let lines: Vec<_> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    let (all, given) = lines.split_first().expect("it says something");
    assert_eq!(*all, "*");
    let given: Vec<_> = given.iter().map(|line| path(line.strip_prefix('!').expect("an exception"))).collect();
    let mut included = vec![path("Cargo.toml"), path("Cargo.lock"), path("src/main.rs"), path("src/lib.rs")];
    for file in test_support::sources::files(&path("src")) {
        let source = std::fs::read_to_string(&file).expect("it can be read");
        let names = source.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        included.extend(names.map(|name| file.parent().expect("it is in a directory").join(name)));
    }
    assert!(included.len() > 8, "what is included is found: {included:?}");
    for file in included {
        let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(given.iter().any(|given| file.starts_with(given)), "{}", file.display());
    }
}
