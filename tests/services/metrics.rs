//! Metrics of the store in Redis.

use test_support::metrics::value;
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait::until;
use test_support::ws::Client;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_and_its_clocks_are_counted() {
    let redis = Redis::start();
    let server = Server::start_with(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")]).await;
    let mut client = server.connect().await;
    until("it is ready", async || client.ask("GET", "/ready", "").await.status == 200).await;
    let _watcher = Client::join(server.address(), &id(1)).await;
    client.create(&two_players(&id(1), 1_000)).await;
    client.post(&id(1), "start", &serde_json::Value::Null).await;
    let mut told = String::new();
    until("the clock runs out and its client is told", async || {
        told = client.ask("GET", "/metrics", "").await.body;
        value(&told, "synckairos_deadline_lateness_seconds_count") == 1.0
            && value(&told, "synckairos_update_lag_seconds_count") >= 3.0
    })
    .await;
    for operation in ["load", "commit", "read", "sweep"] {
        let series = format!(r#"synckairos_store_round_trip_seconds_count{{operation="{operation}"}}"#);
        assert!(value(&told, &series) > 0.0, "{series}: {told}");
    }
    for series in [
        "synckairos_store_conflicts_total",
        "synckairos_store_retries_total",
        "synckairos_store_unknown_outcomes_total",
        "synckairos_store_sessions_behind_total",
        "synckairos_db_write_queue_size",
    ] {
        assert!(told.lines().any(|line| line == format!("{series} 0")), "{series}: {told}");
    }
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec(&mut redis.connect()).expect("it answers");
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec(&mut redis.connect()).expect("it answers");
    client.read(&id(1)).await;
    client.ask("DELETE", &format!("/v1/sessions/{}", id(1)), "").await;
    until("every connection is made again", async || {
        let told = client.ask("GET", "/metrics", "").await.body;
        ["changes", "reads", "sweep", "updates"].iter().all(|connection| {
            value(&told, &format!(r#"synckairos_store_reconnects_total{{connection="{connection}"}}"#)) >= 1.0
        })
    })
    .await;
}
