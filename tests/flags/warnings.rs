//! Time warnings: at each threshold once, never early, and only while the clock runs.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::instant;
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::ws::Client;

use super::{TIME_MS, flag, nothing_until_changed, started, until_past, watch, with};

/// The warning that must come next.
async fn warning(client: &mut Client, state: &Value, threshold: u64) {
    let warning = client.next().await;
    let at = warning["timestamp"].as_u64().expect("milliseconds");
    let deadline = instant::ms(&state["deadline_at"]);
    assert!(at >= deadline - threshold, "early: {warning}");
    let expected = json!({
        "type": "TIME_WARNING",
        "sessionId": state["session_id"],
        "timestamp": at,
        "participant_id": state["active_participant_id"],
        "time_remaining_ms": deadline.saturating_sub(at),
        "threshold_ms": threshold,
    });
    assert_eq!(warning, expected);
}

#[tokio::test]
async fn everybody_is_warned_at_each_threshold_once() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let body = with(two_players(&id(1), TIME_MS), json!({"warn_at_ms": [300, 1_000, 700, 300, 86_400_000]}));
    let (mut client, running) = started(&server, &mut http, &body).await;
    let mut other = watch(&server, &id(1)).await;
    for client in [&mut client, &mut other] {
        warning(client, &running, 700).await;
    }
    let changed = nothing_until_changed(&mut http, &mut client, &id(1)).await;
    assert_eq!(other.next().await["state"], changed, "a change does not bring the warning back");
    for client in [&mut client, &mut other] {
        warning(client, &running, 300).await;
        flag(client, &changed).await;
    }
}

#[tokio::test]
async fn a_watcher_that_joins_while_the_clock_runs_is_warned() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&with(two_players(&id(1), TIME_MS), json!({"warn_at_ms": [200]}))).await;
    let running = http.post(&id(1), "start", &Value::Null).await;
    for _ in 0..2 {
        // Somebody who leaves does not take the warning along.
        watch(&server, &id(1)).await;
    }
    let mut client = watch(&server, &id(1)).await;
    warning(&mut client, &running, 200).await;
    flag(&mut client, &running).await;
}

#[tokio::test]
async fn a_switch_puts_the_next_ones_warnings_in_place_of_the_last_ones() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let body = with(two_players(&id(1), TIME_MS), json!({"warn_at_ms": [300]}));
    let (mut client, _) = started(&server, &mut http, &body).await;
    http.post(&id(1), "switch", &json!({})).await;
    let second = client.next().await["state"].take();
    assert_eq!(second["active_participant_id"], participant(1));
    warning(&mut client, &second, 300).await;
    flag(&mut client, &second).await;
}

#[tokio::test]
async fn no_client_is_warned_of_a_clock_that_stands_still() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let body = with(two_players(&id(1), TIME_MS), json!({"warn_at_ms": [500]}));
    let (mut client, running) = started(&server, &mut http, &body).await;
    let paused = http.post(&id(1), "pause", &Value::Null).await;
    assert_eq!(client.next().await["state"], paused);
    until_past(&mut http, instant::ms(&running["deadline_at"])).await;
    let resumed = http.post(&id(1), "resume", &Value::Null).await;
    assert_eq!(client.next().await["state"], resumed, "there was nothing to say");
    warning(&mut client, &resumed, 500).await;
}

#[tokio::test]
async fn new_thresholds_count_at_once() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let body = with(two_players(&id(1), TIME_MS), json!({"warn_at_ms": [600]}));
    let (mut client, _) = started(&server, &mut http, &body).await;
    let changed = http.patch(&id(1), &json!({"warn_at_ms": [500, 950, 300]})).await;
    assert_eq!(client.next().await["state"], changed);
    let first = client.next().await;
    // The first threshold may have been passed before it was named; one that is not named any more is not told.
    if first["threshold_ms"] == 950 {
        warning(&mut client, &changed, 500).await;
    } else {
        assert_eq!(first["threshold_ms"], 500);
    }
    let none = http.patch(&id(1), &json!({"warn_at_ms": null})).await;
    assert_eq!(client.next().await["state"], none);
    flag(&mut client, &none).await;
}

/// Sessions of one clock that are warned of half of it; each is asked for `actions` when the clock falls there.
async fn check_warned_once(actions: &'static [&'static str], fields: Value) {
    const SESSIONS: u64 = 24;
    let server = Server::start().await;
    let mut tasks = JoinSet::new();
    for n in 1..=SESSIONS {
        let mut http = server.connect().await;
        let body = with(two_players(&id(n), TIME_MS), fields.clone());
        let (mut client, running) = started(&server, &mut http, &body).await;
        tasks.spawn(async move {
            let threshold = running["warn_at_ms"][0].as_u64().expect("a threshold");
            until_past(&mut http, instant::ms(&running["deadline_at"]) - threshold - 1).await;
            for action in actions {
                http.post(&id(n), action, &json!({})).await;
            }
            let mut warnings = 0;
            loop {
                let message = client.next().await;
                match message["type"].as_str().expect("a type") {
                    "TIME_WARNING" => warnings += 1,
                    "TIME_EXPIRED" => return warnings,
                    _ => {}
                }
            }
        });
    }
    let warnings = tasks.join_all().await;
    assert!(warnings.iter().all(|warnings| *warnings == 1), "{actions:?} {fields}: {warnings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_warns_once_whatever_happens_in_its_millisecond() {
    let group = "22222222-2222-4222-8222-222222222222";
    let mut grouped = two_players(&id(0), TIME_MS)["participants"].take();
    for member in grouped.as_array_mut().expect("participants") {
        member["group_id"] = group.into();
    }
    let global = json!({"sync_mode": "global", "warn_at_ms": [TIME_MS]});
    let grouped = json!({"sync_mode": "per_group", "participants": grouped, "warn_at_ms": [TIME_MS]});
    tokio::join!(
        check_warned_once(&["switch"], global.clone()),
        check_warned_once(&["switch", "switch"], grouped),
        check_warned_once(&["pause", "resume"], global),
    );
}
