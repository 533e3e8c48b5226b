//! Flags: each clock that runs out flags once and never early. `warnings` covers what comes before.

mod warnings;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::frames::{self, Frames};
use test_support::http::Connection;
use test_support::instant;
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::ws::Client;

/// The least time that a clock can have.
const TIME_MS: u64 = 1_000;
/// After so long an instant is taken never to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that has heard the session's state.
async fn watch(server: &Server, id: &str) -> Client {
    let mut client = Client::join(server.address(), id).await;
    client.next_of("STATE_SYNC").await;
    client
}

/// A session that is running, and a client that has heard so.
async fn started(server: &Server, http: &mut Connection, body: &Value) -> (Client, Value) {
    let id = body["session_id"].as_str().expect("an id");
    http.create(body).await;
    let mut client = watch(server, id).await;
    let state = http.post(id, "start", &Value::Null).await;
    assert_eq!(client.next().await["state"], state);
    (client, state)
}

fn with(mut body: Value, fields: Value) -> Value {
    let more = fields.as_object().expect("fields").clone();
    body.as_object_mut().expect("a body").extend(more);
    body
}

/// The STATE_UPDATE and the TIME_EXPIRED of a flag that was announced for `before["deadline_at"]`.
async fn flag(client: &mut Client, before: &Value) -> Value {
    let update = client.next().await;
    let (state, deadline) = (&update["state"], &before["deadline_at"]);
    assert_eq!(update["type"], "STATE_UPDATE");
    assert_eq!(state["version"].as_u64(), before["version"].as_u64().map(|version| version + 1), "{state}");
    let at = update["timestamp"].as_u64().expect("milliseconds");
    assert!(at >= instant::ms(deadline), "early: {update}");
    let flagged = &before["active_participant_id"];
    let participants = state["participants"].as_array().expect("participants");
    let participant = participants.iter().find(|one| one["participant_id"] == *flagged).expect("it was active");
    assert_eq!((&participant["has_expired"], &participant["expired_at"]), (&true.into(), deadline), "{state}");

    let expired = client.next().await;
    let expected = json!({
        "type": "TIME_EXPIRED",
        "sessionId": before["session_id"],
        "timestamp": at,
        "expired_participant_id": flagged,
        "expired_at": deadline,
    });
    assert_eq!(expired, expected);
    update["state"].clone()
}

/// The client hears nothing before the next change; returns that change's state.
async fn nothing_until_changed(http: &mut Connection, client: &mut Client, id: &str) -> Value {
    let last = http.read(id).await["version"].take();
    let state = http.patch(id, &json!({"metadata": {"last": last}})).await;
    let update = client.next().await;
    assert_eq!((&update["type"], &update["state"]), (&"STATE_UPDATE".into(), &state));
    state
}

/// Waits until the server's time has passed an instant.
async fn until_past(http: &mut Connection, ms: u64) {
    let patience = Instant::now() + PATIENCE;
    while http.time_ms().await <= ms {
        assert!(Instant::now() < patience, "the instant never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_clock_that_runs_out_ends_the_session() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let (mut client, running) = started(&server, &mut http, &two_players(&id(1), TIME_MS)).await;
    let mut other = watch(&server, &id(1)).await;
    let state = flag(&mut client, &running).await;
    assert_eq!(flag(&mut other, &running).await, state, "everybody is told");
    assert_eq!((&state["status"], &state["active_participant_id"]), (&"expired".into(), &Value::Null));
    assert_eq!((&state["deadline_at"], &state["session_completed_at"]), (&Value::Null, &running["deadline_at"]));
    let flagged = &state["participants"][0];
    assert_eq!((&flagged["time_used_ms"], &flagged["time_remaining_ms"]), (&TIME_MS.into(), &0.into()));
    assert_eq!(http.read(&id(1)).await, state);
    nothing_until_changed(&mut http, &mut client, &id(1)).await;
}

#[tokio::test]
async fn a_clock_that_runs_out_lets_the_next_one_run() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let body = with(two_players(&id(1), TIME_MS), json!({"on_timeout": "advance"}));
    let (mut client, running) = started(&server, &mut http, &body).await;
    let second = flag(&mut client, &running).await;
    assert_eq!((&second["status"], &second["active_participant_id"]), (&"running".into(), &participant(1).into()));
    assert_eq!(second["cycle_started_at"], running["deadline_at"], "no time is lost between turns");
    let state = flag(&mut client, &second).await;
    assert_eq!((&state["status"], &state["session_completed_at"]), (&"expired".into(), &second["deadline_at"]));
    nothing_until_changed(&mut http, &mut client, &id(1)).await;
}

#[tokio::test]
async fn a_clock_that_runs_out_under_notify_goes_on() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let body = with(two_players(&id(1), TIME_MS), json!({"on_timeout": "notify"}));
    let (mut client, running) = started(&server, &mut http, &body).await;
    let state = flag(&mut client, &running).await;
    assert_eq!((&state["status"], &state["deadline_at"]), (&"running".into(), &Value::Null));
    assert_eq!(state["active_participant_id"], participant(0));
    nothing_until_changed(&mut http, &mut client, &id(1)).await;
    let switched = http.post(&id(1), "switch", &json!({})).await;
    assert_eq!(switched["expired_participant_id"], participant(0));
    let second = client.next().await["state"].take();
    assert_eq!(second["active_participant_id"], participant(1));
    flag(&mut client, &second).await;
    nothing_until_changed(&mut http, &mut client, &id(1)).await;
}

#[tokio::test]
async fn a_clock_of_every_mode_runs_out() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let mut running = Vec::new();
    for (n, fields) in [
        json!({"sync_mode": "per_participant"}),
        json!({"sync_mode": "per_cycle", "time_per_cycle_ms": 1_200}),
        json!({"sync_mode": "per_group"}),
        json!({"sync_mode": "global", "total_time_ms": 1_100}),
        json!({"sync_mode": "count_up", "max_time_ms": 1_300}),
    ]
    .into_iter()
    .enumerate()
    {
        let body = with(two_players(&id(n as u64), TIME_MS), fields);
        running.push(started(&server, &mut http, &body).await);
    }
    for (client, state) in &mut running {
        assert_eq!(flag(client, state).await["status"], "expired", "{state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn hundreds_of_clocks_each_run_out_once() {
    const SESSIONS: u64 = 300;
    let server = Server::start_with(&[("HEARTBEAT_MS", "60000")]).await;
    let mut http = server.connect().await;
    let mut clients = JoinSet::new();
    for n in 0..SESSIONS {
        http.create(&two_players(&id(n), TIME_MS)).await;
        let mut client = Client::join(server.address(), &id(n)).await;
        clients.spawn(async move {
            client.next_of("STATE_SYNC").await;
            let running = client.next().await["state"].take();
            flag(&mut client, &running).await;
            client
        });
    }
    for n in 0..SESSIONS {
        http.post(&id(n), "start", &Value::Null).await;
    }
    let mut clients = clients.join_all().await;
    for client in &mut clients {
        client.say(json!({"type": "CANCEL", "request_id": "changes nothing"})).await;
        let result = client.next().await;
        assert_eq!((&result["type"], &result["data"]["version"]), (&"RESULT".into(), &3.into()), "{result}");
    }
}

#[tokio::test]
async fn a_late_watcher_finds_that_the_clock_ran_out() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), TIME_MS)).await;
    let running = http.post(&id(1), "start", &Value::Null).await;
    until_past(&mut http, instant::ms(&running["deadline_at"])).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    let state = client.next_of("STATE_SYNC").await["state"].take();
    assert_eq!((&state["status"], &state["version"]), (&"expired".into(), &3.into()));
    assert_eq!(state["participants"][0]["expired_at"], running["deadline_at"]);
    nothing_until_changed(&mut http, &mut client, &id(1)).await;
}

/// Whoever asks for the state around the deadline sees it settled, and does not keep the clock from running
/// out by having asked before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn no_read_shows_a_clock_that_runs_past_its_deadline() {
    const REQUESTS: usize = 200;
    let server = Server::start().await;
    let mut http = server.connect().await;
    let mut clients = JoinSet::new();
    for n in 0..40 {
        // One after the other, so that the server is busy with each when its time comes.
        tokio::time::sleep(Duration::from_millis(20)).await;
        http.create(&two_players(&id(n), TIME_MS)).await;
        let mut client = Frames::open(server.address(), &id(n)).await;
        let running = http.post(&id(n), "start", &Value::Null).await;
        let mut http = server.connect().await;
        clients.spawn(async move {
            let requests = frames::text(r#"{"type":"RECONNECT"}"#).repeat(REQUESTS);
            until_past(&mut http, instant::ms(&running["deadline_at"]) - 5).await;
            client.send(&requests).await;
            let (mut answers, mut flags) = (0, 0);
            while answers < 2 || flags == 0 {
                let message = client.message().await;
                flags += usize::from(message["type"] == "TIME_EXPIRED");
                if message["type"] == "STATE_SYNC" {
                    assert_settled(&message);
                    answers += 1;
                }
            }
            assert_eq!(flags, 1, "the first of {answers} states came unasked");
        });
    }
    clients.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_new_watcher_sees_a_clock_that_runs_past_its_deadline() {
    let server = Server::start().await;
    let address = server.address();
    let mut http = server.connect().await;
    let mut clients = JoinSet::new();
    for n in 0..20 {
        let (_, running) = started(&server, &mut http, &two_players(&id(n), TIME_MS)).await;
        let mut http = server.connect().await;
        clients.spawn(async move {
            until_past(&mut http, instant::ms(&running["deadline_at"]) - 5).await;
            let mut sync = Value::Null;
            while sync["state"]["status"] != "expired" {
                sync = Client::join(address, &id(n)).await.next().await;
                assert_settled(&sync);
            }
        });
    }
    clients.join_all().await;
}

fn assert_settled(sync: &Value) {
    assert_eq!(sync["type"], "STATE_SYNC");
    let deadline = &sync["state"]["deadline_at"];
    let at = sync["timestamp"].as_u64().expect("milliseconds");
    assert!(deadline.is_null() || at < instant::ms(deadline), "past its deadline: {sync}");
}

#[tokio::test]
async fn a_pause_in_time_keeps_the_clock_from_running_out() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let mut n = 0;
    let (mut client, running, paused) = loop {
        n += 1;
        let (client, running) = started(&server, &mut http, &two_players(&id(n), TIME_MS)).await;
        let deadline = instant::ms(&running["deadline_at"]);
        until_past(&mut http, deadline - 100).await;
        let answer = http.ask("POST", &format!("/v1/sessions/{}/pause", id(n)), "").await;
        // A machine that was busy may have let the time pass.
        if answer.status == 200 {
            break (client, running, answer.json()["data"].take());
        }
    };
    assert_eq!(client.next().await["state"], paused);
    let left = paused["participants"][0]["time_remaining_ms"].as_u64().expect("a time");
    assert!((1..=100).contains(&left), "{paused}");
    until_past(&mut http, instant::ms(&running["deadline_at"]) + 100).await;
    assert_eq!(nothing_until_changed(&mut http, &mut client, &id(n)).await["status"], "paused");
    let resumed = http.post(&id(n), "resume", &Value::Null).await;
    assert_eq!(client.next().await["state"], resumed);
    assert_eq!(instant::ms(&resumed["deadline_at"]) - instant::ms(&resumed["cycle_started_at"]), left);
    flag(&mut client, &resumed).await;
}

/// Pauses that meet the deadline: each was in time and there is no flag, or there is and it was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_at_the_deadline_is_in_time_or_late_but_not_both() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let mut clients = JoinSet::new();
    for n in 0..24_u64 {
        let (mut client, running) = started(&server, &mut http, &two_players(&id(n), TIME_MS)).await;
        let mut http = server.connect().await;
        clients.spawn(async move {
            until_past(&mut http, instant::ms(&running["deadline_at"]) - 4 + n % 4).await;
            let answer = http.ask("POST", &format!("/v1/sessions/{}/pause", id(n)), "").await;
            if answer.status == 200 {
                assert_eq!(answer.json()["data"]["participants"][0]["has_expired"], false);
                assert_eq!(client.next().await["state"], answer.json()["data"]);
            } else {
                assert!(matches!(answer.code().as_str(), "CONFLICT" | "INVALID_STATE_TRANSITION"), "{answer:?}");
                flag(&mut client, &running).await;
            }
            nothing_until_changed(&mut http, &mut client, &id(n)).await;
        });
    }
    clients.join_all().await;
}

#[tokio::test]
async fn a_switch_that_did_nothing_is_late() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    // Time runs out at a switch, and nobody flags.
    let fields = json!({"sync_mode": "per_cycle", "time_per_cycle_ms": 60_000, "total_time_ms": 1_000});
    let (mut client, running) = started(&server, &mut http, &with(two_players(&id(1), TIME_MS), fields)).await;
    let first = http.post(&id(1), "switch", &json!({})).await;
    assert_eq!(first["late"], Value::Null);
    http.patch(&id(1), &json!({"on_timeout": "advance"})).await;
    until_past(&mut http, instant::ms(&running["cycle_started_at"]) + 1_000).await;
    let last = http.post(&id(1), "switch", &json!({})).await;
    assert_eq!((&last["status"], &last["late"]), (&"expired".into(), &Value::Null), "{last}");
    let late = http.post(&id(1), "switch", &json!({})).await;
    assert_eq!((&late["late"], &late["version"]), (&true.into(), &last["version"]));
    assert_eq!(late["expired_participant_id"], Value::Null);
    let result = client.order(json!({"type": "SWITCH", "request_id": "late"})).await;
    assert_eq!((&result["status"], &result["data"]["late"]), (&200.into(), &true.into()), "{result}");

    let (mut client, running) = started(&server, &mut http, &two_players(&id(2), TIME_MS)).await;
    until_past(&mut http, instant::ms(&running["deadline_at"])).await;
    let late = http.post(&id(2), "switch", &json!({})).await;
    assert_eq!((&late["late"], &late["expired_participant_id"]), (&true.into(), &participant(0).into()));
    let result = client.order(json!({"type": "SWITCH", "request_id": "late"})).await;
    assert_eq!(result["data"]["late"], true, "{result}");
}

#[tokio::test]
async fn a_maximum_that_is_raised_lets_a_clock_go_on() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let fields = json!({"sync_mode": "count_up", "max_time_ms": TIME_MS, "on_timeout": "notify"});
    let (mut client, running) = started(&server, &mut http, &with(two_players(&id(1), TIME_MS), fields)).await;
    flag(&mut client, &running).await;
    let raised = http.patch(&id(1), &json!({"max_time_ms": TIME_MS + 1_000})).await;
    let one = &raised["participants"][0];
    assert_eq!((&one["has_expired"], &one["expired_at"]), (&false.into(), &Value::Null), "{raised}");
    assert_eq!(one["time_remaining_ms"], 1_000);
    assert_eq!(instant::ms(&raised["deadline_at"]), instant::ms(&raised["updated_at"]) + 1_000);
    assert_eq!(client.next().await["state"], raised);
    flag(&mut client, &raised).await;
}

#[tokio::test]
async fn turns_cannot_advance_within_a_time_that_is_used_up() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let fields = json!({"sync_mode": "per_cycle", "time_per_cycle_ms": 60_000, "total_time_ms": 1_000});
    let (_, running) = started(&server, &mut http, &with(two_players(&id(1), TIME_MS), fields)).await;
    until_past(&mut http, instant::ms(&running["cycle_started_at"]) + 1_000).await;
    let path = format!("/v1/sessions/{}", id(1));
    let refused = http.ask("PATCH", &path, r#"{"on_timeout":"advance"}"#).await;
    assert_eq!((refused.status, &*refused.code()), (400, "VALIDATION_ERROR"), "{refused:?}");
    let problem = &refused.json()["error"]["details"][0];
    assert_eq!((&problem["field"], &problem["code"]), (&"on_timeout".into(), &"invalid_value".into()));
    assert_eq!(http.post(&id(1), "switch", &json!({})).await["status"], "running");
}

#[tokio::test]
async fn the_default_of_on_timeout_is_a_setting() {
    let server = Server::start_with(&[("DEFAULT_ON_TIMEOUT", "notify")]).await;
    let mut http = server.connect().await;
    assert_eq!(http.create(&two_players(&id(1), TIME_MS)).await["on_timeout"], "notify");
    let said = with(two_players(&id(2), TIME_MS), json!({"on_timeout": "expire"}));
    assert_eq!(http.create(&said).await["on_timeout"], "expire");
}
