//! Pages of history are cut by bytes, and many readers queue for memory.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::sessions::id;

use test_support::data_dir::start;

/// A page, but for its last change.
const PAGE: usize = 4 << 20;

#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_page_ends_when_it_is_full_and_the_next_goes_on() {
    let directory = Directory::new();
    let program = start(&directory);
    let mut client = Connection::open(program.address).await;
    let one = |n: u64| json!({"participant_id": id(1_000 + n), "participant_index": n, "total_time_ms": 60_000});
    let body = json!({"session_id": id(1), "sync_mode": "per_participant", "total_time_ms": 60_000,
                      "participants": (0..600).map(one).collect::<Vec<_>>()});
    client.create(&body).await;
    client.post(&id(1), "start", &Value::Null).await;
    for _ in 0..30 {
        client.ask("POST", &format!("/v1/sessions/{}/switch", id(1)), "").await;
    }
    let (mut after, mut seen, mut pages) = (String::new(), 0, 0);
    loop {
        let path = format!("/v1/sessions/{}/events?limit=200&after={after}", id(1));
        let answer = client.ask("GET", &path, "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.len() < PAGE + (1 << 20), "{}", answer.body.len());
        let page = answer.json();
        seen += page["data"].as_array().expect("a list").len();
        pages += 1;
        if page["has_more"] == false {
            break;
        }
        assert!(answer.body.len() >= PAGE, "a page that is not the last is full: {}", answer.body.len());
        after = page["next"].as_str().expect("where to go on").to_owned();
    }
    assert_eq!(seen, 32);
    assert!(pages > 1, "it is longer than a page");
    let mut readers = JoinSet::new();
    for _ in 0..24 {
        let mut client = Connection::open(program.address).await;
        readers.spawn(async move {
            client.ask("GET", &format!("/v1/sessions/{}/events?limit=200", id(1)), "").await.status
        });
    }
    let statuses = readers.join_all().await;
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 8, "{statuses:?}");
}
