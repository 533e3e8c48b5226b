//! Hides from a cargo that a test runs the environment that its own cargo set, which would make that one rebuild libraries.

use std::process::Command;

const NAMES: [&str; 6] =
    ["CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR"];

/// Tells a command nothing of it.
pub fn forget(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| NAMES.iter().any(|start| name.starts_with(start))) {
            command.env_remove(name);
        }
    }
}
