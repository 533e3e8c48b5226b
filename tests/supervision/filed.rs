//! What a data directory adds: a journal, a history, and sessions that come back from it.

use serde_json::Value;

use crate::support::directory::Directory;
use crate::support::sessions::{id, two_players};

use super::rig::Faulty;

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
