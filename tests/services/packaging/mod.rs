//! The files that install, run and watch the program, held against the program: what can be run is run, all else is
//! parsed and compared with what the program knows.

mod balancer;
mod compose;
mod filesets;
mod image;
mod nix;
mod observed;
mod runner;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};

use synckairos::config::SETTINGS;
use yaml_rust2::{Yaml, YamlLoader};

/// A path in the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A file of the repository.
fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A file of one document in YAML.
fn yaml(name: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(documents.len(), 1, "{name}");
    documents.remove(0)
}

/// The strings of a list.
fn strings(list: &Yaml) -> Vec<&str> {
    list.as_vec().into_iter().flatten().map(|item| item.as_str().expect("a string")).collect()
}

/// Keys and values of a mapping; empty when it is none.
fn entries(mapping: &Yaml) -> Vec<(&str, &Yaml)> {
    let entries = mapping.as_hash().into_iter().flatten();
    entries.map(|(key, value)| (key.as_str().expect("a name"), value)).collect()
}

/// What a setting is when nothing is said.
fn default(name: &str) -> &'static str {
    let setting = SETTINGS.iter().find(|setting| setting.name == name);
    setting.unwrap_or_else(|| panic!("{name} is no setting")).default
}
