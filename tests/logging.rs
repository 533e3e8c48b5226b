//! The log: bounded, and written without delaying requests.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use test_support::http::Connection;
use test_support::metrics::value as series;
use test_support::program::{Program, command, output};
use test_support::redis::signal;
use test_support::sessions::{id, two_players};
use test_support::wait;

/// Far more lines than wait in a pipe, and than wait for it.
const REQUESTS: u64 = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn no_request_waits_for_a_log_that_is_not_read() {
    let mut command = command();
    command.env("PORT", "0").env("LOG_LEVEL", "debug").stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let mut log = BufReader::with_capacity(64, child.stderr.take().expect("the log is piped"));
    let address = loop {
        let mut line = String::new();
        log.read_line(&mut line).expect("the log is text");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        if let Some(address) = said["address"].as_str().and_then(|address| address.parse().ok()) {
            break address;
        }
    };
    let mut client = Connection::open(address).await;
    // A clock that runs out all the same.
    let mut session = two_players(&id(1), 60_000);
    session["participants"][0]["total_time_ms"] = 1_000.into();
    client.create(&session).await;
    client.post(&id(1), "start", &Value::Null).await;
    for _ in 0..REQUESTS {
        assert_eq!(client.ask("GET", "/v1/time", "").await.status, 200);
    }
    wait::until("the clock runs out", async || {
        client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await.body.contains("\"status\":\"expired\"")
    })
    .await;
    let told = client.ask("GET", "/metrics", "").await.body;
    let dropped = series(&told, "synckairos_log_lines_dropped_total");
    assert!(dropped > 0.0 && dropped < REQUESTS as f64, "{dropped}");

    // Somebody reads again.
    drop(client);
    let rest = Arc::new(Mutex::new(String::new()));
    let read = Arc::clone(&rest);
    let reader = std::thread::spawn(move || {
        for line in log.lines() {
            *read.lock().expect("nobody panics") += &(line.expect("the log is text") + "\n");
        }
    });
    wait::until("it says how many are missing", async || {
        let rest = rest.lock().expect("nobody panics");
        let lines = rest.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let missing = lines.filter(|line| line["level"] == "WARN").filter_map(|line| line["lines"].as_u64());
        missing.sum::<u64>() as f64 >= dropped
    })
    .await;
    signal(child.id(), "TERM");
    let status = tokio::task::spawn_blocking(move || child.wait()).await.expect("it does not panic");
    assert_eq!(status.expect("it was started").code(), Some(0));
    reader.join().expect("it does not panic");
    assert!(rest.lock().expect("nobody panics").contains("\"stopped\""), "the last line is written");
}

/// What is left when it ends is written, unless nobody reads it.
#[tokio::test]
async fn it_ends_though_its_log_is_not_read() {
    let mut program = Program::start(&[("LOG_LEVEL", "debug")]);
    let mut client = Connection::open(program.address).await;
    for _ in 0..1_000 {
        assert_eq!(client.ask("GET", "/v1/time", "").await.status, 200);
    }
    drop(client);
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
}

#[test]
fn lines_before_an_early_end_are_written() {
    let output = output(command().env("DATA_DIR", "/dev/null/nowhere").env("PORT", "0"));
    let said = String::from_utf8(output.stderr).expect("it writes text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot keep sessions"), "{said}");
}
