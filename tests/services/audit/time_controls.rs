//! Sessions with time controls in Redis with the audit on: created once all instances know them, recovered whole, and told by
//! the history.

use serde_json::{Value, json};

use test_support::http::Connection;
use test_support::instant;
use test_support::sessions::{id, participant};
use test_support::wait;

use super::rig::Rig;

super::on_one_and_on_many!(
    a_clock_under_a_control_is_played_lost_recovered_and_told,
    nobody_has_a_control_before_all_instances_know_it,
);

fn request(n: u64, control: &Value) -> Value {
    let players = [0, 1].map(|n| json!({"participant_id": participant(n), "participant_index": n}));
    json!({"session_id": id(n), "sync_mode": "per_participant", "time_control": control, "participants": players})
}

async fn nobody_has_a_control_before_all_instances_know_it(rig: Rig) {
    let old = rig.instance(&[]).await;
    let mut client = Connection::open(old.address).await;
    let body = request(1, &json!("5+3")).to_string();
    let answer = client.ask("POST", "/v1/sessions", &body).await;
    assert_eq!((answer.status, &*answer.code()), (503, "UPGRADE_IN_PROGRESS"), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    drop(old);
    let new = rig.instance(&[("RECORD_FORMAT", "2")]).await;
    let mut client = Connection::open(new.address).await;
    wait::until("its lease says what it reads", async || client.ask("POST", "/v1/sessions", &body).await.status == 201)
        .await;
}

async fn a_clock_under_a_control_is_played_lost_recovered_and_told(rig: Rig) {
    let instance = rig.instance(&[("RECORD_FORMAT", "2")]).await;
    let mut client = Connection::open(instance.address).await;
    let byoyomi = json!({"system": "byoyomi", "base_ms": 0, "period_ms": 500, "periods": 3});
    let stages = json!({"system": "stages", "stages": [
        {"moves": 1, "system": "delay", "base_ms": 3_600_000, "delay_ms": 5_000}, {"system": "absolute", "base_ms": 60_000}]});
    wait::until("all instances know time controls", async || {
        client.ask("POST", "/v1/sessions", &request(1, &byoyomi).to_string()).await.status == 201
    })
    .await;
    client.create(&request(2, &stages)).await;
    client.post(&id(2), "start", &Value::Null).await;
    let switched = client.post(&id(2), "switch", &Value::Null).await;
    let clock = json!({"stage": 1, "moves_left": 0, "main_ms": 3_660_000, "delay_ms": 0, "moves": 1});
    assert_eq!(switched["participants"][0]["clock"], clock, "the first turn was free, and its stage is over");
    let before = client.read(&id(2)).await;
    rig.drained().await;
    rig.empty();
    let after = client.read(&id(2)).await;
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64());
    for member in ["participants", "time_controls", "turn_used_ms", "cycle_started_at", "deadline_at", "increment_ms"] {
        assert_eq!(after[member], before[member], "{member}");
    }

    let started = client.post(&id(1), "start", &Value::Null).await;
    let ends_ms = instant::ms(&started["cycle_started_at"]) + 1_500;
    assert_eq!(instant::ms(&started["deadline_at"]), ends_ms);
    wait::until("its periods are over", async || client.read(&id(1)).await["status"] == "expired").await;
    let state = client.read(&id(1)).await;
    assert_eq!(instant::ms(&state["participants"][0]["expired_at"]), ends_ms);
    rig.drained().await;
    let history = client.ask("GET", &format!("/v1/sessions/{}/events", id(1)), "").await.json();
    let last = history["data"].as_array().and_then(|all| all.last()).expect("there are some").clone();
    assert_eq!(last["event_type"], "session_expired");
    let over = json!({"main_ms": 0, "period_ms": 0, "periods_left": 0, "moves": 0});
    assert_eq!(last["state"]["participants"][0]["clock"], over, "{last}");
    let rows = rig.rows(&format!("select time_control from audit_sessions where session_id = '{}'", id(1))).await;
    let control = json!([{"system": "byoyomi", "base_ms": 0, "period_ms": 500, "periods": 3, "increment_ms": 0}]);
    assert_eq!(rows, [json!({"time_control": control})]);
}
