//! The preflight check: a Redis that would lose or break sessions is refused, with the reason.

use serde_json::Value;

use test_support::program::{Program, command};
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::{instance_with, ready};

async fn refused(redis: &Redis, reason: &str) -> Server {
    let server = Server::start_with(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")]).await;
    let mut client = server.connect().await;
    wait::until(reason, async || {
        let answer = client.ask("GET", "/ready", "").await;
        assert_eq!(answer.status, 503);
        answer.json()["error"].to_string().contains(reason)
    })
    .await;
    let answer = client.ask("POST", "/v1/sessions", &two_players(&id(1), 60_000).to_string()).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"));
    server
}

#[tokio::test]
async fn an_index_of_another_type_is_refused_until_it_is_gone() {
    let redis = Redis::start();
    redis::cmd("SET").arg("deadlines").arg("x").exec(&mut redis.connect()).expect("it answers");
    let server = refused(&redis, "is of type string, not zset").await;
    assert_eq!(redis.len(), 1, "nothing was written");
    redis::cmd("DEL").arg("deadlines").exec(&mut redis.connect()).expect("it answers");
    ready(server.address()).await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), 60_000)).await;
    client.post(&id(1), "start", &Value::Null).await;
}

#[tokio::test]
async fn instances_agree_on_partitions() {
    let redis = Redis::start();
    let server = instance_with(&redis.url(), &[("PARTITIONS", "4")]).await;
    let mut client = server.connect().await;
    for n in 0..40 {
        client.create(&two_players(&id(n), 60_000)).await;
    }
    let keys: Vec<String> = redis::cmd("KEYS").arg("session:{p00*").query(&mut redis.connect()).expect("it answers");
    assert_eq!(keys.len(), 40, "every session has a partition");
    assert!((0..4).all(|part| keys.iter().any(|key| key.contains(&format!("{{p00{part}}}")))), "{keys:?}");
    for partitions in ["1", "8"] {
        let settings = [("REDIS_URL", redis.url()), ("AUDIT", "off".to_owned()), ("PARTITIONS", partitions.to_owned())];
        let mut other = Program::start_command(command().env("PORT", "0").envs(settings));
        assert_eq!(other.ended().await, Some(1), "it does not run beside them");
        let said = other.log_rest().join("\n");
        assert!(said.contains(&format!("Redis holds 4 partitions, and PARTITIONS says {partitions}")), "{said}");
    }
    instance_with(&redis.url(), &[("PARTITIONS", "4")]).await;
}
