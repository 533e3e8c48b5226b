//! Rate limits are shared by all instances, and fail open.

use serde_json::json;

use test_support::redis::Redis;
use test_support::sessions::{id, participant};

use super::{HOUR, instance_with, start, switch};

#[tokio::test]
async fn limits_are_shared() {
    let redis = Redis::start();
    let settings = [("RATE_LIMIT_SWITCH", "4"), ("RATE_LIMIT_GENERAL", "30")];
    let instances = [instance_with(&redis.url(), &settings).await, instance_with(&redis.url(), &settings).await];
    let mut clients = [instances[0].connect().await, instances[1].connect().await];
    start(&mut clients[0], 1, HOUR).await;
    let mut connection = redis.connect();
    // Whatever time the test takes, the window does not end in it.
    let freeze = |connection: &mut redis::Connection, key: &str| {
        let seconds: i64 = redis::cmd("EXPIRE").arg(key).arg(1_000).query(connection).expect("it answers");
        assert_eq!(seconds, 1, "{key} is there");
    };
    let mut statuses = Vec::new();
    for n in 0..6 {
        statuses.push(switch(&mut clients[n % 2], 1).await.status);
        freeze(&mut connection, &format!("rl:switch:{}", id(1)));
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    let used = 2 + statuses.len();
    let mut allowed = 0;
    for n in 0..40 {
        let answer = clients[n % 2].ask("GET", "/v1/time", "").await;
        freeze(&mut connection, "rl:general:127.0.0.1");
        allowed += usize::from(answer.status == 200);
    }
    assert_eq!(allowed, 30 - used);
}

/// Over all instances together.
#[tokio::test]
async fn a_late_switch_is_reported_on_every_instance() {
    let redis = Redis::start();
    let settings = [("RATE_LIMIT_SWITCH", "4")];
    let instances = [instance_with(&redis.url(), &settings).await, instance_with(&redis.url(), &settings).await];
    let mut clients = [instances[0].connect().await, instances[1].connect().await];
    start(&mut clients[0], 1, HOUR).await;
    let mut connection = redis.connect();
    let id = id(1);
    let refused = format!("rl:refused:{id}:127.0.0.1");
    // Whatever time the test takes, the window does not end in it.
    let _: () = redis::cmd("SET").arg(&refused).arg(0).arg("EX").arg(1_000).query(&mut connection).expect("it answers");
    let late = json!({"current_participant_id": participant(1)}).to_string();
    let mut statuses = Vec::new();
    for n in 0..14 {
        statuses.push(clients[n % 2].ask("POST", &format!("/v1/sessions/{id}/switch"), &late).await.status);
    }
    assert_eq!(statuses[..10], [409; 10]);
    assert_eq!(statuses[10..], [429; 4]);
    let count: Option<i64> =
        redis::cmd("GET").arg(format!("rl:switch:{id}")).query(&mut connection).expect("it answers");
    assert_eq!(count.unwrap_or_default(), 0, "all counts were given back");
    assert_eq!(switch(&mut clients[0], 1).await.status, 200, "whoever it is");
}
