//! Sessions that come and go give their memory back. With SYNCKAIROS_TEST_CHURN=200000, a release build and `--nocapture` it
//! prints how much memory the server takes on the way.

use serde_json::Value;
use tokio::task::JoinSet;

use test_support::http::Connection;
use test_support::program::Program;
use test_support::redis::Redis;
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::{HOUR, ready, scale};

const CLIENTS: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat() {
    let sessions = scale("SYNCKAIROS_TEST_CHURN", 4_000);
    let redis = Redis::start();
    let program = Program::start(&[("REDIS_URL", &redis.url()), ("AUDIT", "off"), ("TOMBSTONE_TTL_S", "2")]);
    ready(program.address).await;
    let mut memory = Vec::new();
    for tenth in 0..10 {
        let mut tasks = JoinSet::new();
        for client in 0..CLIENTS {
            let mut http = Connection::open(program.address).await;
            tasks.spawn(async move {
                for n in (client..sessions / 10).step_by(CLIENTS as usize) {
                    let id = id(tenth * sessions + n);
                    http.create(&two_players(&id, HOUR)).await;
                    http.post(&id, "start", &Value::Null).await;
                    let deleted = http.ask("DELETE", &format!("/v1/sessions/{id}"), "").await;
                    assert_eq!(deleted.status, 204);
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.expect("the client ends well");
        }
        memory.push(program.memory_kb());
    }
    println!("{sessions} sessions created and deleted, memory in kB after each tenth: {memory:?}");
    // What is remembered for seconds is less than a few MB; 200,000 sessions would be hundreds.
    let (early, late) = (memory[2], memory[9]);
    assert!(late < early + early / 4 + 4_096, "{memory:?}");
    wait::until("Redis is empty again", async || redis.len() == 0).await;
}
