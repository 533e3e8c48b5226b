//! Lines `NAME=value` as the settings of a server: what is wrong with them is said without any part of a secret. Names of
//! files are left out, since what is in a file is no part of the input.

use std::collections::HashMap;

use synckairos::config::{Config, SETTINGS, SettingKind, has_password};

/// Stands for a password.
const SECRET: &str = "5ecr3t";

/// Reads settings.
pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let is_read = |name: &str| SETTINGS.iter().any(|setting| setting.name == name && setting.kind != SettingKind::File);
    let given: HashMap<_, _> =
        text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| is_read(name)).collect();
    // These name files as a part of a URL.
    if text.contains("sslrootcert") || text.contains("sslcert") || text.contains("sslkey") {
        return;
    }
    let is_secret = |name: &str| ["REDIS_URL", "REDIS_PASSWORD", "DATABASE_URL", "DATABASE_PASSWORD"].contains(&name);
    let is_shown = given.iter().any(|(name, value)| !is_secret(name) && value.contains(SECRET));
    let lookup = |name: &str| given.get(name).map(|value| (*value).to_owned());
    let problems = [
        Config::read(lookup).err(),
        Config::read_redis(lookup).err(),
        Config::read_database(lookup).err(),
        Config::read_logging(lookup).err(),
    ];
    for problem in problems.into_iter().flatten().flatten() {
        let is_told = given.keys().any(|name| problem.starts_with(name)) || problem.contains("missing");
        assert!(is_told, "{problem} of {text}");
        assert!(is_shown || !problem.contains(SECRET), "{problem} of {text}");
    }
    if let Ok(config) = Config::read(lookup) {
        let debug = format!("{config:?}");
        assert!(is_shown || !debug.contains(SECRET), "{debug}");
    }
    for url in given.values() {
        let _ = has_password(url);
    }
}
