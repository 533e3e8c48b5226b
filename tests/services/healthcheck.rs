//! `synckairos health` of a server whose Redis is gone.

use test_support::program::{Program, command, output};
use test_support::redis::Redis;
use test_support::wait;

#[tokio::test]
async fn a_server_may_live_and_not_serve() {
    let mut redis = Redis::start();
    let program = Program::start(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")]);
    let port = program.address.port().to_string();
    let told = |arguments: &[&str]| {
        let output = output(command().arg("health").args(arguments).env("PORT", &port));
        (output.status.code(), String::from_utf8(output.stderr).expect("it writes text"))
    };
    wait::until("it serves", async || told(&["--ready"]).0 == Some(0)).await;
    redis.kill();
    wait::until("it does not serve", async || told(&["--ready"]).0 == Some(1)).await;
    let (_, said) = told(&["--ready"]);
    let start = format!("synckairos: http://127.0.0.1:{port}/ready: 503 {{\"status\":\"not_ready\",\"error\":");
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(told(&[]).0, Some(0), "a restart would not bring Redis back");
}
