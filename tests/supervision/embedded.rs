//! Panics in every server: requests, decisions, connections, updates, clocks, and the tasks behind them.

use serde_json::{Value, json};

use test_support::http::Connection;
use test_support::sessions::{id, two_players};
use test_support::wait::until;
use test_support::ws::Client;

use test_support::faulty::Faulty;

#[tokio::test]
async fn a_request_that_panics_gets_a_response_and_its_connection_goes_on() {
    let mut server = Faulty::start(&[]).await;
    server.panics("request /v1/time");
    for _ in 0..3 {
        let answer = server.client.ask("GET", "/v1/time", "").await;
        assert_eq!((answer.status, &*answer.code()), (500, "INTERNAL_ERROR"));
        assert!(!answer.body.contains("a test"), "nothing of the inside is shown: {}", answer.body);
    }
    server.has_told("request").await;
    server.serves(&id(1)).await;
    server.panics("");
    assert_eq!(server.client.ask("GET", "/v1/time", "").await.status, 200);
    server.is_ready_again().await;
}

#[tokio::test]
async fn a_decision_that_panics_refuses_one_command_over_every_protocol() {
    let mut server = Faulty::start(&[]).await;
    let (poison, path) = (id(1), format!("/v1/sessions/{}", id(1)));
    server.client.create(&two_players(&poison, 3_600_000)).await;
    let mut watcher = Client::join(server.program.address, &poison).await;
    server.panics(&format!("decision {poison}"));
    let answer = server.client.ask("POST", &format!("{path}/start"), "").await;
    assert_eq!((answer.status, &*answer.code()), (500, "INTERNAL_ERROR"));
    let result = watcher.order(json!({"type": "START", "request_id": "a"})).await;
    assert_eq!((&result["status"], &result["error"]["code"]), (&json!(500), &json!("INTERNAL_ERROR")));
    assert_eq!(server.client.read(&poison).await["version"], 1, "nothing was changed, and it can be read");
    server.has_told("decision").await;
    server.serves(&id(2)).await;
    server.panics("");
    server.client.post(&poison, "start", &Value::Null).await;
    assert_eq!(watcher.next_of("STATE_UPDATE").await["state"]["version"], 2, "the WebSocket is there still");
}

#[tokio::test]
async fn a_clock_that_cannot_be_fired_keeps_no_other_from_it() {
    let mut server = Faulty::start(&[]).await;
    let poison = id(1);
    for id in [&poison, &id(2)] {
        server.client.create(&two_players(id, 1_000)).await;
    }
    server.client.post(&poison, "start", &Value::Null).await;
    server.panics(&format!("decision {poison}"));
    server.client.post(&id(2), "start", &Value::Null).await;
    let mut other = Client::join(server.program.address, &id(2)).await;
    other.next_of("TIME_EXPIRED").await;
    server.has_told("decision").await;
    server.panics("");
    until("the other one is fired, too", async || server.client.read(&poison).await["status"] == "expired").await;
    server.serves(&id(3)).await;
}

#[tokio::test]
async fn a_deadline_that_panics_keeps_no_other_from_its_time_and_is_fired_later() {
    let mut server = Faulty::start(&[]).await;
    let poison = id(1);
    server.panics(&format!("deadline {poison}"));
    for id in [&poison, &id(2)] {
        server.client.create(&two_players(id, 1_000)).await;
    }
    let mut watchers = [&poison, &id(2)].map(|id| (id.clone(), None));
    for (id, watcher) in &mut watchers {
        *watcher = Some(Client::join(server.program.address, id).await);
        server.client.post(id, "start", &Value::Null).await;
    }
    let [(_, Some(mut unlucky)), (_, Some(mut other))] = watchers else { panic!("both have joined") };
    other.next_of("TIME_EXPIRED").await;
    server.has_told("deadline").await;
    server.serves(&id(3)).await;
    assert_eq!(server.readiness().await.0, 200);
    server.panics("");
    unlucky.next_of("TIME_EXPIRED").await;
    server.is_ready_again().await;
}

#[tokio::test]
async fn a_fan_out_that_panics_loses_no_change() {
    let mut server = Faulty::start(&[]).await;
    server.client.create(&two_players(&id(1), 3_600_000)).await;
    let mut watcher = Client::join(server.program.address, &id(1)).await;
    server.panics("fan-out");
    server.client.post(&id(1), "start", &Value::Null).await;
    server.has_told("fan-out").await;
    assert_eq!(server.client.read(&id(1)).await["version"], 2);
    server.panics("");
    server.client.post(&id(1), "switch", &Value::Null).await;
    for version in 2..=3 {
        assert_eq!(watcher.next_of("STATE_UPDATE").await["state"]["version"], version);
    }
    server.serves(&id(2)).await;
    server.is_ready_again().await;
}

/// Where signs of life stay away the service manager starts the server anew; a server that has its own back goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signs_of_life_come_back() {
    let directory = test_support::directory::Directory::new();
    let (socket, path) = crate::sd_notify::manager(&directory);
    let mut server = Faulty::start(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "50000")]).await;
    let told = tokio::task::spawn_blocking(move || {
        // What waits is heard first.
        while crate::sd_notify::hear(&socket) != "WATCHDOG=1" {}
        socket
    });
    let socket = told.await.expect("there are signs");
    server.panics("watchdog");
    until("/ready names it", async || server.readiness().await.1.contains("the task watchdog has failed")).await;
    server.has_told("watchdog").await;
    server.serves(&id(1)).await;
    socket.set_nonblocking(true).expect("that can be set");
    while socket.recv(&mut [0; 256]).is_ok() {}
    socket.set_nonblocking(false).expect("that can be set");
    server.panics("");
    let told = tokio::task::spawn_blocking(move || crate::sd_notify::hear(&socket)).await;
    assert_eq!(told.expect("there are signs again"), "WATCHDOG=1");
    server.is_ready_again().await;
}

#[tokio::test]
async fn an_answer_whose_compression_panics_goes_as_it_is() {
    let mut server = Faulty::start(&[]).await;
    let mut session = two_players(&id(1), 3_600_000);
    let one = |n: u64| json!({"participant_id": id(1_000 + n), "participant_index": n, "total_time_ms": 60_000});
    session["participants"] = (0..100).map(one).collect();
    server.client.create(&session).await;
    server.panics("compression");
    let asked = [("Accept-Encoding", "gzip")];
    let answer = server.client.ask_with("GET", &format!("/v1/sessions/{}", id(1)), &asked, "").await;
    assert_eq!((answer.status, answer.header("content-encoding")), (200, None));
    assert_eq!(answer.json()["data"]["participants"].as_array().map(Vec::len), Some(100));
    server.has_told("compression").await;
    server.panics("");
    server.serves(&id(2)).await;
    server.is_ready_again().await;
}

#[tokio::test]
async fn a_connection_that_panics_is_closed_and_all_others_go_on() {
    let mut server = Faulty::start(&[]).await;
    server.panics("connection");
    let mut unlucky = Connection::open(server.program.address).await;
    assert!(unlucky.try_ask("GET", "/health").await.is_none(), "it is gone");
    assert_eq!(server.client.ask("GET", "/health", "").await.status, 200);
    server.has_told("connection").await;
    server.panics("");
    server.serves(&id(1)).await;
    server.is_ready_again().await;
}

#[tokio::test]
async fn an_update_that_panics_is_missed_and_the_next_one_arrives() {
    let mut server = Faulty::start(&[]).await;
    server.client.create(&two_players(&id(1), 3_600_000)).await;
    let mut watcher = Client::join(server.program.address, &id(1)).await;
    server.panics(&format!("update {}", id(1)));
    server.client.post(&id(1), "start", &Value::Null).await;
    server.has_told("update").await;
    server.serves(&id(2)).await;
    server.panics("");
    server.client.post(&id(1), "switch", &Value::Null).await;
    assert_eq!(watcher.next_of("STATE_UPDATE").await["state"]["version"], 3);
}

#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn tasks_that_run_for_ever_come_back() {
    let mut server = Faulty::start(&[]).await;
    for task in ["upkeep", "clock"] {
        server.comes_back(task, async |_| {}).await;
    }
    server.comes_back("accept", async |address| drop(Connection::try_open(address).await)).await;
    server.serves(&id(1)).await;

    let (mut client, mut is_made) = (Connection::open(server.program.address).await, false);
    let run_out = async |_| {
        if !std::mem::replace(&mut is_made, true) {
            client.create(&two_players(&id(3), 1_000)).await;
            client.post(&id(3), "start", &Value::Null).await;
        }
    };
    server.comes_back("deadlines", run_out).await;
    let mut watcher = Client::join(server.program.address, &id(4)).await;
    server.client.create(&two_players(&id(4), 1_000)).await;
    server.client.post(&id(4), "start", &Value::Null).await;
    watcher.next_of("TIME_EXPIRED").await;

    let mut warned = two_players(&id(2), 2_000);
    warned["warn_at_ms"] = json!([1_000]);
    server.client.create(&warned).await;
    let mut watcher = Client::join(server.program.address, &id(2)).await;
    let mut client = Connection::open(server.program.address).await;
    let poke = async |_| {
        client.ask("POST", &format!("/v1/sessions/{}/start", id(2)), "").await;
    };
    server.comes_back("warnings", poke).await;
    server.client.post(&id(2), "switch", &Value::Null).await;
    watcher.next_of("TIME_WARNING").await;
}
