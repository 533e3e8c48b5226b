//! Whether a server starts, by its keys, by where it listens, and by what is said: it refuses rather than lets in everybody.

use synckairos::config::{AccessMode, Config};
use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::program::{Program, command, output};
use test_support::tokens::api_key;

/// What the settings come to: closed, open, or what is wrong.
fn read(given: &[(&str, &str)]) -> Result<&'static str, Vec<String>> {
    let lookup = |name: &str| given.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::read(lookup).map(|config| match config.access.mode {
        AccessMode::Closed(_) => "closed",
        AccessMode::Open { is_said: true } => "open as said",
        AccessMode::Open { is_said: false } => "open",
    })
}

#[test]
fn by_keys_place_and_what_is_said() {
    let (key, _) = api_key("backend");
    let has_key = ("API_KEY", &*key);
    let twice = "AUTH: off, and keys are given";
    let taken = "ADMIN_ADDRESS: clients are served at ";
    let (loopback, all) = (("HOST", "127.0.0.1"), ("HOST", "0.0.0.0"));
    for (given, expected) in [
        (&[][..], Ok("open")),
        (&[loopback], Ok("open")),
        (&[("HOST", "::1")], Ok("open")),
        (&[("HOST", "::ffff:127.0.0.1")], Ok("open")),
        (&[("HOST", "127.8.8.8")], Ok("open")),
        (&[("HOST", "unix:/run/synckairos.sock")], Ok("open")),
        (&[all], Err("HOST: others can reach 0.0.0.0:3000")),
        (&[("HOST", "::")], Err("HOST: others can reach [::]:3000")),
        (&[("HOST", "192.0.2.1")], Err("HOST: others can reach 192.0.2.1:3000")),
        (&[("AUTH", "on")], Err("AUTH: on, and no keys")),
        (&[all, ("AUTH", "on")], Err("AUTH: on, and no keys")),
        (&[("AUTH", "off")], Ok("open as said")),
        (&[all, ("AUTH", "off")], Ok("open as said")),
        (&[has_key], Ok("closed")),
        (&[all, has_key], Ok("closed")),
        (&[all, has_key, ("AUTH", "auto")], Ok("closed")),
        (&[has_key, ("AUTH", "on")], Ok("closed")),
        (&[has_key, ("AUTH", "off")], Err(twice)),
        (&[all, has_key, ("AUTH", "off")], Err(twice)),
        (&[("API_KEY", "hunter2")], Err("API_KEY: must be synk_")),
        (&[all, ("KEYS_FILE", "/nowhere/at-all")], Err("KEYS_FILE: /nowhere/at-all: ")),
        (&[("AUTH", "yes")], Err("AUTH: \"yes\" is not auto, on or off")),
        (&[("TOKEN_ALLOW", "read,fly")], Err("TOKEN_ALLOW: ")),
        (&[("ALLOWED_HOSTS", "https://a")], Err("ALLOWED_HOSTS: ")),
        (&[("ADMIN_ADDRESS", "127.0.0.1:9464")], Ok("open")),
        (&[("ADMIN_ADDRESS", "localhost:9464")], Ok("open")),
        (&[("ADMIN_ADDRESS", "[::1]:9464")], Ok("open")),
        (&[("ADMIN_ADDRESS", "unix:/run/synckairos-admin.sock")], Ok("open")),
        (&[("ADMIN_ADDRESS", "0.0.0.0:9464")], Err("ADMIN_ADDRESS: others can reach 0.0.0.0:9464")),
        (&[("ADMIN_ADDRESS", "[::]:9464")], Err("ADMIN_ADDRESS: others can reach [::]:9464")),
        (&[("ADMIN_ADDRESS", "192.0.2.1:9464"), ("AUTH", "off")], Ok("open as said")),
        (&[("ADMIN_ADDRESS", "0.0.0.0:9464"), has_key], Ok("closed")),
        (&[("ADMIN_ADDRESS", "127.0.0.1:9464"), all, has_key], Ok("closed")),
        (&[("ADMIN_ADDRESS", "9464")], Err("ADMIN_ADDRESS: \"9464\" is not ")),
        (&[("ADMIN_ADDRESS", "127.0.0.1")], Err("ADMIN_ADDRESS: \"127.0.0.1\" is not ")),
        (&[("ADMIN_ADDRESS", "example.org:9464")], Err("ADMIN_ADDRESS: \"example.org:9464\" is not ")),
        (&[("ADMIN_ADDRESS", "unix:admin.sock")], Err("ADMIN_ADDRESS: \"unix:admin.sock\" is not ")),
        (&[("ADMIN_ADDRESS", "127.0.0.1:3000")], Err(taken)),
        (&[("ADMIN_ADDRESS", "localhost:3000")], Err(taken)),
        (&[("ADMIN_ADDRESS", "[::ffff:127.0.0.1]:3000")], Err(taken)),
        (&[("ADMIN_ADDRESS", "127.0.0.1:3000"), ("HOST", "0.0.0.0"), has_key], Err(taken)),
        (&[("ADMIN_ADDRESS", "127.0.0.1:3000"), ("HOST", "::"), has_key], Err(taken)),
        (&[("ADMIN_ADDRESS", "0.0.0.0:3000"), has_key], Err(taken)),
        (&[("ADMIN_ADDRESS", "unix:/a.sock"), ("HOST", "unix:/a.sock")], Err(taken)),
        (&[("ADMIN_ADDRESS", "127.0.0.2:3000")], Ok("open")),
        (&[("ADMIN_ADDRESS", "[::1]:3000"), ("HOST", "0.0.0.0"), has_key], Ok("closed")),
        (&[("ADMIN_ADDRESS", "127.0.0.1:0"), ("PORT", "0")], Ok("open")),
    ] {
        match (read(given), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{given:?}"),
            (Err(problems), Err(expected)) => {
                assert!(problems.len() == 1 && problems[0].starts_with(expected), "{given:?}: {problems:?}");
                assert!(!problems[0].contains("hunter2") && !problems[0].contains(&key), "{problems:?}");
            }
            (found, expected) => panic!("{given:?}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn a_refusal_names_three_ways_out_and_each_is_one() {
    let (key, _) = api_key("backend");
    let refused = output(command().env("HOST", "0.0.0.0").env("PORT", "0"));
    let said = String::from_utf8(refused.stderr).expect("it is text");
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for way in ["synckairos keys new", "KEYS_FILE", "HOST=127.0.0.1", "AUTH=off"] {
        assert!(said.contains(way), "{way}: {said}");
    }
    let both = [("HOST", "0.0.0.0"), ("ADMIN_ADDRESS", "0.0.0.0:9464")];
    let problems = read(&both).expect_err("others can reach both");
    for (problem, way) in problems.iter().zip(["(HOST=127.0.0.1)", "(ADMIN_ADDRESS=127.0.0.1:9464)"]) {
        assert!(problem.contains(way), "{problems:?}");
    }
    assert_eq!(problems.len(), 2, "{problems:?}");
    // With each of them only the port is wrong that nobody has.
    for (name, value) in [("API_KEY", &*key), ("HOST", "127.0.0.1"), ("AUTH", "off")] {
        let said = output(command().env("HOST", "0.0.0.0").env("PORT", "70000").env(name, value));
        let said = String::from_utf8(said.stderr).expect("it is text");
        assert!(said.lines().count() == 2 && said.contains("PORT: "), "{name}: {said}");
    }
}

/// Each row, by the program itself: what it ends with, or who may come in.
#[tokio::test]
async fn each_row_by_the_program_itself() {
    let (key, _) = api_key("backend");
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let file = directory.path().join("key");
    std::fs::write(&file, &key).expect("it can be written");
    let has_key = ("API_KEY_FILE", file.to_str().expect("it is text"));
    let (open, closed, refused) = (Some(200), Some(401), None);
    for (keys, host, auth, expected) in [
        (false, "127.0.0.1", "auto", open),
        (false, "127.0.0.1", "", open),
        (false, "0.0.0.0", "auto", refused),
        (false, "0.0.0.0", "", refused),
        (false, "127.0.0.1", "on", refused),
        (false, "0.0.0.0", "on", refused),
        (false, "127.0.0.1", "off", open),
        (false, "127.0.0.2", "off", open),
        (true, "127.0.0.1", "auto", closed),
        (true, "127.0.0.1", "", closed),
        (true, "127.0.0.1", "on", closed),
        (true, "127.0.0.2", "on", closed),
        (true, "127.0.0.1", "off", refused),
        (true, "0.0.0.0", "off", refused),
    ] {
        let mut start = command();
        start.env("PORT", "0").env("HOST", host).env("LOG_FORMAT", "json");
        if !auth.is_empty() {
            start.env("AUTH", auth);
        }
        if keys {
            start.env(has_key.0, has_key.1);
        }
        let row = format!("keys: {keys}, HOST: {host}, AUTH: {auth:?}");
        let Some(status) = expected else {
            assert_eq!(output(&mut start).status.code(), Some(2), "{row}");
            continue;
        };
        let mut program = Program::start_command(&mut start);
        let answer = Connection::open(program.address).await.ask("GET", "/v1/time", "").await;
        assert_eq!(answer.status, status, "{row}: {answer:?}");
        program.signal("TERM");
        assert_eq!(program.ended().await, Some(0), "{row}");
        let is_warned = program.log_whole().iter().any(|line| line.contains("whoever reaches this server"));
        assert_eq!(is_warned, auth == "off", "{row}");
    }
}
