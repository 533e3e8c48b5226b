//! Back-pressure: a full audit queue refuses changes, and no acknowledged change loses its job.

use serde_json::{Value, json};

use test_support::http::{Answer, Connection};
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::rig::Rig;

const HOUR: u64 = 3_600_000;

async fn create(client: &mut Connection, n: u64) -> Answer {
    client.ask("POST", "/v1/sessions", &two_players(&id(n), HOUR).to_string()).await
}

async fn switch(client: &mut Connection, n: u64) -> Answer {
    client.ask("POST", &format!("/v1/sessions/{}/switch", id(n)), "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_audited_is_not_done() {
    let rig = Rig::start().await;
    let instance = rig.instance(&[("AUDIT_QUEUE_MAX_BYTES", "65536")]).await;
    let mut client = Connection::open(instance.address).await;
    for n in 1..=2 {
        client.create(&two_players(&id(n), HOUR)).await;
        client.post(&id(n), "start", &Value::Null).await;
    }
    client
        .create(&json!({
            "session_id": id(3), "sync_mode": "global", "total_time_ms": 4_000,
            "participants": [{"participant_id": id(7), "participant_index": 0, "total_time_ms": 4_000}],
        }))
        .await;
    client.post(&id(3), "start", &Value::Null).await;
    rig.drained().await;
    rig.postgres(|postgres| postgres.signal("STOP")).await;
    let mut done = 2;
    let mut is_refused = false;
    while !is_refused {
        let answer = switch(&mut client, 1).await;
        is_refused = answer.status == 503;
        if is_refused {
            assert_eq!(answer.code(), "UNAVAILABLE");
            assert!(answer.header("retry-after").is_some());
        } else {
            assert_eq!(answer.status, 200, "{answer:?}");
            done += 1;
        }
        assert!(done < 200, "there is an end");
    }
    assert_eq!(create(&mut client, 4).await.status, 503, "no new sessions");
    assert_eq!(client.read(&id(1)).await["version"], done, "what was refused was not done");
    wait::until("it is told", async || client.ask("GET", "/ready", "").await.json()["status"] == "degraded").await;
    wait::until("a clock still runs out", async || client.read(&id(3)).await["status"] == "expired").await;
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(2)), "").await.status, 204);
    rig.postgres(|postgres| postgres.signal("CONT")).await;
    rig.drained().await;
    assert_eq!(create(&mut client, 4).await.status, 201);
    assert_eq!(switch(&mut client, 1).await.status, 200);
    rig.drained().await;
    assert_eq!(rig.number(&format!("select count(*) from sync_events where session_id = '{}'", id(1))).await, done + 1);
    assert_eq!(rig.number(&format!("select count(*) from sync_events where session_id = '{}'", id(2))).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_drains_and_serves_again() {
    let rig = Rig::start_with(&["--save", "", "--maxmemory", "12mb"]).await;
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    rig.drained().await;
    rig.postgres(|postgres| postgres.signal("STOP")).await;
    let mut body = two_players(&id(0), HOUR);
    body["metadata"] = json!({"filling": "x".repeat(4_000)});
    let mut created = 0;
    for n in 100.. {
        body["session_id"] = id(n).into();
        let answer = client.ask("POST", "/v1/sessions", &body.to_string()).await;
        if answer.status != 201 {
            assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"), "{answer:?}");
            break;
        }
        created += 1;
    }
    assert!(created > 10, "there was room for {created}");
    let held = rig.leases();
    assert!(!held.is_empty(), "somebody waits for the database with a batch");
    wait::until("who holds a batch goes on to hold it", async || {
        let now = rig.leases();
        held.iter().all(|(name, end_ms)| now.get(name).is_some_and(|later_ms| later_ms > end_ms))
    })
    .await;
    rig.postgres(|postgres| postgres.signal("CONT")).await;
    rig.drained().await;
    wait::until("there is room again", async || {
        client.ask("POST", &format!("/v1/sessions/{}/start", id(1)), "").await.status == 200
    })
    .await;
    rig.drained().await;
    assert_eq!(rig.number("select count(*) from sync_events").await, created + 2, "every change, and no other");
}
