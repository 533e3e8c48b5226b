//! Data directories that are locked, corrupt or full.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::program::{Program, command, output};
use test_support::sessions::{id, two_players};
use test_support::wait;

use test_support::data_dir::{HOUR, history, settings, start};

#[tokio::test]
async fn a_second_process_is_refused_and_harms_nothing() {
    let directory = Directory::new();
    let program = start(&directory);
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    let output = output(command().env("PORT", "0").envs(settings(&directory)));
    let said = String::from_utf8(output.stderr).expect("it writes text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("not one line of JSON: {said}"));
    assert_eq!(line["message"], "cannot keep sessions", "{said}");
    let why = format!("{}: another process is using this directory", directory.text());
    assert_eq!(line["error"], why, "{said}");
    client.post(&id(1), "start", &Value::Null).await;
    drop(program);
    assert_eq!(history(&directory, &id(1)).await.len(), 2);
}

#[test]
fn what_is_no_directory_or_no_database_is_an_error() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let file = directory.path().join("synckairos.redb");
    std::fs::write(&file, "this is somebody's letter").expect("it can be written");
    for dir in [directory.path(), &file] {
        let output = output(command().env("PORT", "0").env("DATA_DIR", dir));
        let said = String::from_utf8(output.stderr).expect("it writes text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot keep sessions") && said.contains("synckairos.redb"), "{said}");
    }
    assert_eq!(std::fs::read(&file).expect("it is there"), b"this is somebody's letter");
}

/// Lets a process write files up to a size, as a full disk does.
fn limit(program: &Program, bytes: Option<u64>) {
    let process = Pid::from_child(&program.child);
    let now = getrlimit(Resource::Fsize);
    prlimit(Some(process), Resource::Fsize, Rlimit { current: bytes, ..now }).expect("it is ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_written_is_not_acknowledged() {
    let directory = Directory::new();
    // A shell that ignores the signal, so that a write fails instead.
    let mut shell = Command::new("sh");
    shell
        .env_clear()
        .env("PORT", "0")
        .env("ALLOWED_HOSTS", "*")
        .envs(settings(&directory))
        .env("REQUEST_TIMEOUT_MS", "500");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\"", env!("CARGO_BIN_EXE_synckairos")]).stdin(Stdio::null());
    let mut program = Program::start_command(&mut shell);
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;

    limit(&program, Some(4_096));
    let switch = format!("/v1/sessions/{}/switch", id(1));
    let first = client.ask("POST", &switch, "").await;
    assert_eq!((first.status, &*first.code()), (503, "UNKNOWN_OUTCOME"), "{first:?}");
    let second = client.ask("POST", &switch, "").await;
    assert_eq!((second.status, &*second.code()), (503, "UNAVAILABLE"), "{second:?}");
    let ready = client.ask("GET", "/ready", "").await;
    assert!(ready.status == 503 && ready.body.contains("cannot be written"), "{ready:?}");
    assert!(program.log_line().contains("the file cannot be written"));

    limit(&program, None);
    wait::until("it is ready", async || client.ask("GET", "/ready", "").await.status == 200).await;
    assert_eq!(client.read(&id(1)).await["version"], 3, "it was made after all");
    assert_eq!(client.ask("POST", &switch, "").await.status, 200);
    drop(client);
    program.child.kill().expect("it runs");
    program.ended().await;
    let versions: Vec<_> = history(&directory, &id(1)).await.iter().map(|change| change.tag.version).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
}
