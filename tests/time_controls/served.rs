//! Time controls as clients of a server see them: in memory and in a data directory, over REST.

use serde_json::{Value, json};

use test_support::data_dir::start;
use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::instant;
use test_support::server::Server;
use test_support::sessions::id;
use test_support::wait;

use super::creating::request;

#[tokio::test]
async fn a_clock_runs_through_its_periods_to_the_flag() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let byoyomi = json!({"system": "byoyomi", "base_ms": 500, "period_ms": 250, "periods": 2});
    let state = client.create(&request("per_participant", byoyomi.clone(), 2)).await;
    let shown = json!({"system": "byoyomi", "base_ms": 500, "period_ms": 250, "periods": 2, "increment_ms": 0});
    assert_eq!(state["time_controls"], json!([shown]), "with its defaults");
    assert_eq!(state.get("turn_used_ms"), None, "there is no turn yet");
    let clock = json!({"main_ms": 500, "period_ms": 250, "periods_left": 2, "moves": 0});
    for one in state["participants"].as_array().expect("a list") {
        assert_eq!((&one["control"], &one["clock"]), (&json!(0), &clock));
        assert_eq!([&one["initial_time_ms"], &one["time_remaining_ms"]], [&json!(1_000); 2]);
    }
    let state = client.post(&id(1), "start", &Value::Null).await;
    assert_eq!(state["turn_used_ms"], 0);
    let ends_ms = instant::ms(&state["cycle_started_at"]) + 1_000;
    assert_eq!(instant::ms(&state["deadline_at"]), ends_ms);
    wait::until("the last period is over", async || client.read(&id(1)).await["status"] == "expired").await;
    let state = client.read(&id(1)).await;
    assert_eq!(instant::ms(&state["participants"][0]["expired_at"]), ends_ms);
    let over = json!({"main_ms": 0, "period_ms": 0, "periods_left": 0, "moves": 0});
    assert_eq!((&state["participants"][0]["clock"], &state["participants"][1]["clock"]), (&over, &clock));
    assert_eq!(state["participants"][0]["time_used_ms"], 1_000);
}

#[tokio::test]
async fn what_a_control_says_is_not_patched() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&request("per_participant", json!("*180"), 2)).await;
    let path = format!("/v1/sessions/{}", id(1));
    for (patch, field) in [
        (json!({"increment_ms": 5}), "increment_ms"),
        (json!({"increment_ms": null}), "increment_ms"),
        (json!({"time_per_cycle_ms": 5_000}), "time_per_cycle_ms"),
        (json!({"max_time_ms": 5_000}), "max_time_ms"),
        (json!({"on_timeout": "advance"}), "on_timeout"),
    ] {
        let answer = client.ask("PATCH", &path, &patch.to_string()).await;
        let problem = &answer.json()["error"]["details"][0];
        assert_eq!((answer.status, &problem["field"], &problem["code"]), (400, &json!(field), &json!("conflict")));
    }
    assert_eq!(client.patch(&id(1), &json!({"on_timeout": "notify"})).await["version"], 2);
}

#[tokio::test]
async fn what_one_glass_loses_the_other_gains_and_nobody_loses_it_in_a_restart() {
    let directory = Directory::new();
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    client.create(&request("per_participant", json!("*180"), 2)).await;
    client.post(&id(1), "start", &Value::Null).await;
    client.post(&id(1), "switch", &Value::Null).await;
    let paused = client.post(&id(1), "pause", &Value::Null).await;
    let main = |state: &Value, place: usize| state["participants"][place]["clock"]["main_ms"].as_u64().expect("ms");
    assert_eq!(main(&paused, 0) + main(&paused, 1), 360_000);
    program.child.kill().expect("it runs");
    program.ended().await;

    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    assert_eq!(client.read(&id(1)).await, paused, "nothing changed");
    client.post(&id(1), "resume", &Value::Null).await;
    let switched = client.post(&id(1), "switch", &Value::Null).await;
    assert_eq!(main(&switched, 0) + main(&switched, 1), 360_000);
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
}

#[tokio::test]
async fn unknown_members_are_told_and_known_ones_are_not() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut body = request("per_participant", json!("5+3"), 2);
    (body["participants"][0]["multiplier_pct"], body["participants"][1]["extra_ms"]) = (50.into(), 1_000.into());
    let strict = [("Prefer", "handling=strict")];
    let answer = client.ask_with("POST", "/v1/sessions", &strict, &body.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["data"]["time_controls"].as_array().map(Vec::len), Some(2), "one is half of the other");
}
