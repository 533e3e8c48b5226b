//! What cargo tells each program that it runs of that program's package. It is not meant for a cargo that the program runs,
//! which would build the libraries anew whose build scripts look at it.

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
