//! Backups of a data directory: a consistent snapshot, while a server writes and while none runs.

use std::fs;

use serde_json::Value;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::program::{command, output};
use test_support::sessions::{id, two_players};

use test_support::data_dir::{HOUR, history, start};

/// Copies a directory; its exit code, and what it said.
async fn back_up(from: &Directory, to: &str) -> (Option<i32>, String) {
    let mut command = command();
    command.args(["backup", to]).env("DATA_DIR", from.text());
    let done = tokio::task::spawn_blocking(move || output(&mut command)).await.expect("it ends well");
    (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_copy_is_made_while_a_server_writes() {
    let (directory, copy, later) = (Directory::new(), Directory::new(), Directory::new());
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    let address = program.address;
    let writer = tokio::spawn(async move {
        let mut client = Connection::open(address).await;
        for _ in 0..200 {
            assert_eq!(client.ask("POST", &format!("/v1/sessions/{}/switch", id(1)), "").await.status, 200);
        }
    });
    let (code, said) = back_up(&directory, copy.text()).await;
    assert_eq!(code, Some(0), "{said}");
    writer.await.expect("nobody holds it up");
    let (code, said) = back_up(&directory, copy.text()).await;
    assert_eq!(code, Some(1), "nothing is written over: {said}");
    assert!(said.contains("already"), "{said}");
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    let (code, said) = back_up(&directory, later.text()).await;
    assert_eq!(code, Some(0), "no server has it: {said}");

    let whole = history(&directory, &id(1)).await;
    assert_eq!(history(&later, &id(1)).await, whole);
    let copied = history(&copy, &id(1)).await;
    assert_eq!(copied, whole[..copied.len()], "all until an instant, and nothing after it");
    assert!(copied.len() >= 2);
    let program = start(&copy);
    let mut client = Connection::open(program.address).await;
    assert_eq!(client.read(&id(1)).await["version"].as_u64(), Some(copied.len() as u64), "it is served");
}

#[tokio::test]
async fn what_cannot_be_copied_is_an_error() {
    let (empty, copy) = (Directory::new(), Directory::new());
    let (code, said) = back_up(&empty, copy.text()).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("no database"), "{said}");
    assert!(fs::read_dir(copy.path()).map_or(0, |found| found.count()) == 0, "nothing is left behind");
}
