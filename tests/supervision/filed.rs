//! Panics with a data directory: the journal, the history, the recovery.

use std::time::Instant;

use serde_json::Value;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

use test_support::faulty::Faulty;

#[tokio::test]
async fn a_look_up_that_panics_is_one_request_refused_and_the_next_one_looks_again() {
    let directory = Directory::new();
    let mut server = Faulty::start(&[("DATA_DIR", directory.text())]).await;
    for (n, point) in [(10, "recovery"), (11, "history")] {
        let path = format!("/v1/sessions/{}", id(n));
        server.panics(point);
        let answer = server.client.ask("GET", &path, "").await;
        assert!(answer.status >= 500, "{point}: {answer:?}");
        server.has_told(point).await;
        server.panics("");
        let answer = server.client.ask("GET", &path, "").await;
        assert_eq!(answer.status, 404, "{point}: nothing is left of it: {answer:?}");
    }
    server.serves(&id(2)).await;
    server.panics("history");
    let events = format!("/v1/sessions/{}/events", id(2));
    assert_eq!(server.client.ask("GET", &events, "").await.status, 503);
    server.client.post(&id(2), "switch", &Value::Null).await;
    server.panics("");
    assert_eq!(server.client.ask("GET", &events, "").await.status, 200);
    server.is_ready_again().await;
}

#[tokio::test]
async fn a_journal_that_panics_ends_the_process_and_the_next_one_has_what_was_acknowledged() {
    let directory = Directory::new();
    let mut server = Faulty::start(&[("DATA_DIR", directory.text())]).await;
    server.serves(&id(1)).await;
    server.panics("journal");
    let create = two_players(&id(2), 3_600_000).to_string();
    server
        .client
        .send(
            format!("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{create}", create.len())
                .as_bytes(),
        )
        .await;
    if let Some(answer) = server.client.answer(false).await {
        assert_eq!((answer.status, &*answer.code()), (503, "UNKNOWN_OUTCOME"));
    }
    assert_eq!(server.program.ended().await, Some(1));
    assert!(server.has_said("journal"), "the log says which task has ended");
    let mut next = Faulty::start(&[("DATA_DIR", directory.text())]).await;
    assert_eq!(next.client.read(&id(1)).await["version"], 3);
}

/// Ticks of processor time that a process has taken, of which Linux counts a hundred in a second.
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let (_, rest) = stat.rsplit_once(") ").expect("its name is in brackets");
    rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

/// A command that came in time is judged, and waits for the disk to be acknowledged; the clock that it started runs out
/// meanwhile, is told, and nobody spins until then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_run_out_in_time_while_the_disk_stalls_without_spinning() {
    let directory = Directory::new();
    let mut server = Faulty::start(&[("DATA_DIR", directory.text()), ("REQUEST_TIMEOUT_MS", "60000")]).await;
    server.client.create(&two_players(&id(1), 2_000)).await;
    let mut watcher = Client::join(server.program.address, &id(1)).await;
    server.client.post(&id(1), "start", &Value::Null).await;
    watcher.next_of("STATE_UPDATE").await;
    let mut player = Connection::open(server.program.address).await;
    server.panics("stall journal");
    let switch = tokio::spawn(async move { player.post(&id(1), "switch", &Value::Null).await });
    let switched = watcher.next_of("STATE_UPDATE").await;
    assert_eq!(switched["state"]["version"], 3, "whoever watches is told before it is on the disk");
    let (process, start) = (server.program.child.id(), Instant::now());
    let before = ticks(process);
    let expired = watcher.next_of("TIME_EXPIRED").await;
    let (taken, passed) = (ticks(process) - before, start.elapsed().as_millis() as u64 / 10);
    assert!(!switch.is_finished(), "the disk stalls still");
    assert_eq!(expired["expired_at"], switched["state"]["deadline_at"]);
    assert!(taken * 4 < passed, "{taken} of {passed} ticks");
    server.panics("");
    assert_eq!(switch.await.expect("it is answered")["version"], 3);
    server.serves(&id(2)).await;
    server.is_ready_again().await;
}
