//! The keys of rate limits in Redis: one for each client address.

use test_support::redis::Redis;
use test_support::server::Server;
use test_support::wait;

/// However the address is written that a client comes from.
#[tokio::test]
async fn there_is_one_key_for_each_address() {
    let redis = Redis::start();
    let url = redis.url();
    let settings = [("RATE_LIMIT_GENERAL", "2"), ("REDIS_URL", &*url), ("AUDIT", "off"), ("HOST", "::ffff:127.0.0.1")];
    let server = Server::start_with(&settings).await;
    let mut client = server.connect().await;
    let counted = async || {
        client.ask("GET", "/v1/time", "").await;
        let keys: Vec<String> = redis::cmd("KEYS").arg("rl:*").query(&mut redis.connect()).expect("it answers");
        keys == ["rl:general:127.0.0.1"]
    };
    wait::until("a request is counted", counted).await;
}
