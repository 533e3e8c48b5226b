//! Instances whose own clocks are wrong: sessions go by the clock of Redis.

use serde_json::Value;

use test_support::http::Connection;
use test_support::instant;
use test_support::program::{Program, command};
use test_support::redis::Redis;
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::watcher::Watcher;
use super::{HOUR, program, ready, start};

/// Far less than the clock is wrong by, far more than anything takes here.
const NEAR_MS: u64 = 30_000;

/// An instance whose clock is 90 s ahead, or behind.
async fn program_off_by(offset: &str, url: &str) -> Program {
    // The wrapper waits for what it runs and cannot be killed in its place: it only tells what to load.
    let mut wrapper = std::process::Command::new("faketime");
    let told = wrapper.args(["-f", offset, "printenv", "LD_PRELOAD"]).output();
    let told = told.expect("faketime is installed: tests/run installs it").stdout;
    let library = String::from_utf8(told).expect("a path is text").trim().to_owned();
    let settings = [("REDIS_URL", url), ("AUDIT", "off"), ("RATE_LIMIT_SWITCH", "0"), ("PORT", "0")];
    // Timers of the process go by the monotonic clock, which stays as it is.
    let fake = [("LD_PRELOAD", library.as_str()), ("FAKETIME", offset), ("DONT_FAKE_MONOTONIC", "1")];
    let program = Program::start_command(command().envs(settings).envs(fake));
    ready(program.address).await;
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_changes_nothing_that_a_client_sees() {
    let redis = Redis::start();
    let right = program(&redis.url()).await;
    for (n, offset) in [(10, "+90s"), (20, "-90s")] {
        let wrong = program_off_by(offset, &redis.url()).await;
        let mut clients = [Connection::open(right.address).await, Connection::open(wrong.address).await];
        // Its log shows that its clock is wrong indeed, or this would show nothing.
        let first = [clients[0].time_ms().await, clients[1].time_ms().await];
        assert!(first[1] >= first[0] && first[1] - first[0] < NEAR_MS, "{first:?}");
        let line = &wrong.started;
        assert!(instant_of_log(line).abs_diff(first[1]) > NEAR_MS, "faketime works: {line} at {}", first[1]);

        // What one writes the other reads: created, started, switched and seen in the order of one clock.
        let started = start(&mut clients[1], n, HOUR).await;
        assert!(instant::ms(&started["cycle_started_at"]).abs_diff(first[1]) < NEAR_MS, "{started}");
        let mut last = instant::ms(&started["updated_at"]);
        for turn in 0..6 {
            let state = clients[turn % 2].post(&id(n), "switch", &Value::Null).await;
            let now = instant::ms(&state["cycle_started_at"]);
            assert!((last..last + NEAR_MS).contains(&now), "{now} after {last}");
            last = now;
        }
        let used = &clients[0].read(&id(n)).await["participants"];
        for place in 0..2 {
            assert!(used[place]["time_used_ms"].as_u64().expect("a number") < NEAR_MS, "{used}");
        }
        // Its deadlines are neither early nor 90 s late.
        let watcher = Watcher::join(right.address, &id(n + 1)).await;
        let body = two_players(&id(n + 1), 1_000);
        clients[1].create(&body).await;
        let deadline = instant::ms(&clients[1].post(&id(n + 1), "start", &Value::Null).await["deadline_at"]);
        wait::until("its deadline is fired", async || watcher.seen().expired == 1).await;
        assert!(clients[0].time_ms().await >= deadline);
        // And so with what a WebSocket client is told.
        let mut client = Client::join(wrong.address, &id(n)).await;
        client.next_of("STATE_SYNC").await;
        client.say(serde_json::json!({"type": "PING"})).await;
        let stamped = client.next_of("PONG").await["timestamp"].as_u64().expect("a time");
        assert!(stamped.abs_diff(last) < NEAR_MS, "{stamped}");
    }
}

fn instant_of_log(line: &Value) -> u64 {
    let text = line["timestamp"].as_str().unwrap_or_else(|| panic!("no time: {line}"));
    instant::ms(&Value::from(format!("{}Z", &text[..23])))
}
