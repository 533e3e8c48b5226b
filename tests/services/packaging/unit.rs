//! `packaging/synckairos.service`: systemd accepts it, and it is hardened.

use std::process::Command;

use test_support::directory::Directory;

use super::{default, text};

const FILE: &str = "packaging/synckairos.service";

/// The values of a key in the section of the service.
fn values(key: &str) -> Vec<String> {
    let unit = text(FILE);
    let section = unit.split("\n[Service]\n").nth(1).and_then(|rest| rest.split("\n[").next()).expect("there is one");
    let lines = section.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned()).collect()
}

#[test]
fn systemd_understands_it() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("the directory can be made");
    let installed = directory.path().join("synckairos.service");
    // systemd looks whether the program is there.
    let unit = text(FILE).replace("/usr/local/bin/synckairos", env!("CARGO_BIN_EXE_synckairos"));
    assert!(unit.contains(&format!("\nExecStart={}\n", env!("CARGO_BIN_EXE_synckairos"))));
    std::fs::write(&installed, unit).expect("the file can be written");
    // Exposure is counted from 0 to 100; a service of which nothing is said has 96.
    for arguments in [&["verify"][..], &["security", "--offline=true", "--threshold=20", "--no-pager"]] {
        let checked = Command::new("systemd-analyze").args(arguments).arg(&installed).output();
        let checked = checked.expect("systemd-analyze is installed: tests/run installs it");
        let said = String::from_utf8_lossy(&checked.stderr);
        let table = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success() && said.is_empty(), "{arguments:?}: {said}{table}");
    }
}

#[test]
fn its_settings_are_the_programs() {
    assert_eq!(values("Type"), ["notify"]);
    assert_eq!(values("ExecStart"), ["/usr/local/bin/synckairos"]);
    let told = values("Environment");
    assert_eq!(told, ["DATA_DIR=%S/synckairos"]);
    assert_eq!(values("StateDirectory"), ["synckairos"], "that is where DATA_DIR is");
    assert_eq!(default("DATA_DIR"), "", "an empty one is none, as the unit's comment says");
    let limit: u32 = values("LimitNOFILE")[0].parse().expect("a number");
    assert!(limit > default("MAX_CONNECTIONS").parse().expect("a number"), "one for each connection");
}
