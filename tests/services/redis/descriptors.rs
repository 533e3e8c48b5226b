//! File descriptors: the soft limit is raised, and clients do not take those that the server needs.

use std::process::Command;

use test_support::http::Connection;
use test_support::metrics::value;
use test_support::program::Program;
use test_support::redis::Redis;
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::HOUR;

/// The program under a limit of its own.
fn under(limit: &str, settings: &[(&str, &str)]) -> Program {
    let mut start = Command::new("sh");
    start.env_clear().env("PORT", "0").env("ALLOWED_HOSTS", "*").envs(settings.iter().copied());
    start.arg("-c").arg(format!("ulimit {limit} 64 && exec \"$0\"")).arg(env!("CARGO_BIN_EXE_synckairos"));
    Program::start_command(&mut start)
}

#[tokio::test]
async fn the_limit_is_raised_as_far_as_it_may_be() {
    let program = under("-Sn", &[("MAX_CONNECTIONS", "100")]);
    let mut client = Connection::open(program.address).await;
    let text = client.ask("GET", "/metrics", "").await.body;
    assert!(value(&text, "process_max_fds") > 64.0, "{text}");
}

#[tokio::test]
async fn clients_leave_the_server_what_it_needs() {
    let redis = Redis::start();
    let mut program = under("-n", &[("REDIS_URL", &redis.url()), ("AUDIT", "off")]);
    let mut first = Connection::open(program.address).await;
    wait::until("it is ready", async || first.ask("GET", "/ready", "").await.status == 200).await;
    let (mut served, mut refused) = (Vec::new(), 0);
    for _ in 0..100 {
        let mut client = Connection::open(program.address).await;
        match client.try_ask("GET", "/v1/time").await {
            Some(answer) if answer.status == 200 => served.push(client),
            _ => refused += 1,
        }
    }
    assert!(served.len() >= 8 && refused >= 50, "{} are served, {refused} refused", served.len());
    // Every connection to Redis has to be made again, and there are descriptors for them.
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec(&mut redis.connect()).expect("it answers");
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec(&mut redis.connect()).expect("it answers");
    let mut n = 0;
    let is_served = async || {
        n += 1;
        first.ask("POST", "/v1/sessions", &two_players(&id(n), HOUR).to_string()).await.status == 201
    };
    wait::until("sessions are kept", is_served).await;
    wait::until("it is ready again", async || first.ask("GET", "/ready", "").await.status == 200).await;
    program.child.kill().expect("it runs");
    let log = program.log_whole().join("\n");
    assert!(log.contains("MAX_CONNECTIONS does not fit"), "{log}");
    assert!(!log.contains("Too many open files"), "{log}");
}
