//! Steps of the operating system's clock, while a server runs and between two runs: no session is charged, none gains.

use std::time::{Duration, Instant};

use serde_json::Value;

use test_support::directory::Directory;
use test_support::faketime::Faketime;
use test_support::http::Connection;
use test_support::instant;
use test_support::program::{Program, command};
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use test_support::data_dir::{HOUR, history, settings, tag_of};

/// How long turns take here.
const TURN: Duration = Duration::from_millis(300);

fn start_by(faketime: &Faketime, settings: &[(&str, &str)]) -> Program {
    let mut command = command();
    command.env("PORT", "0").envs(settings.iter().copied());
    Program::start_command(faketime.given_to(&mut command))
}

fn used_ms(state: &Value, place: usize) -> u64 {
    state["participants"][place]["time_used_ms"].as_u64().expect("a number")
}

/// What the running clock has left by the server's own time.
async fn left_ms(client: &mut Connection, n: u64) -> u64 {
    let answer = client.ask("GET", &format!("/v1/sessions/{}", id(n)), "").await.json();
    let now = answer["server_time_ms"].as_u64().expect("a time");
    instant::ms(&answer["data"]["deadline_at"]).saturating_sub(now)
}

/// Lets a turn go on for a while after the clock was set by `step_s`; it costs what it took and nothing else.
async fn check_step(program: &Program, faketime: &Faketime, n: u64, before_s: i64, step_s: i64) {
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(n), HOUR)).await;
    let earliest = Instant::now();
    client.post(&id(n), "start", &Value::Null).await;
    let latest = Instant::now();
    faketime.set(before_s + step_s);
    wait::until("a turn is over", async || latest.elapsed() > TURN).await;
    let least = latest.elapsed();
    let paused = client.post(&id(n), "pause", &Value::Null).await;
    let most = earliest.elapsed();
    let used = u128::from(used_ms(&paused, 0));
    // To the millisecond at both ends, and a thousandth of it.
    assert!((least.as_millis() - 2..=most.as_millis() + 2).contains(&used), "{used} in {least:?} to {most:?}");
}

fn until_logged(program: &mut Program, what: &str) {
    loop {
        let line = program.log_line();
        assert!(!line.is_empty(), "it ended and never said {what:?}");
        if line.contains(what) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_the_clock_charges_no_session_and_is_reported() {
    let faketime = Faketime::new(0);
    let mut program = start_by(&faketime, &[]);
    check_step(&program, &faketime, 1, 0, -10).await;
    until_logged(&mut program, "the operating system's clock was set");
    check_step(&program, &faketime, 2, -10, 25).await;
    until_logged(&mut program, "the operating system's clock was set");
    let mut client = Connection::open(program.address).await;
    let ready = client.ask("GET", "/ready", "").await;
    assert!(
        ready.status == 200 && ready.body.contains("degraded") && ready.body.contains("forward by 25.0 s"),
        "{ready:?}"
    );
    let metrics = client.ask("GET", "/metrics", "").await.body;
    assert_eq!(test_support::metrics::value(&metrics, "synckairos_clock_steps_total"), 2.0);
    let offset = test_support::metrics::value(&metrics, "synckairos_clock_offset_seconds");
    assert!((14.0..16.0).contains(&offset), "{offset}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_passes_in_time_although_the_clock_is_set_back() {
    let faketime = Faketime::new(0);
    let program = start_by(&faketime, &[]);
    let mut http = Connection::open(program.address).await;
    http.create(&two_players(&id(1), 1_000)).await;
    let mut client = Client::join(program.address, &id(1)).await;
    http.post(&id(1), "start", &Value::Null).await;
    // Further than any test waits for.
    faketime.set(-3_600);
    let expired = client.next_of("TIME_EXPIRED").await;
    assert_eq!(expired["expired_participant_id"], test_support::sessions::participant(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_ahead_gives_no_session_more_after_a_restart() {
    const LEFT: u64 = 20_000;
    let directory = Directory::new();
    let ahead = Faketime::new(3_600);
    let mut program = start_by(&ahead, &settings(&directory));
    let mut client = Connection::open(program.address).await;
    for n in 1..=3 {
        client.create(&two_players(&id(n), LEFT)).await;
        client.post(&id(n), "start", &Value::Null).await;
    }
    let paused = client.post(&id(2), "pause", &Value::Null).await;
    let completed = client.post(&id(3), "complete", &Value::Null).await;
    let begun = Instant::now();
    wait::until("some of it is used", async || begun.elapsed() > TURN).await;
    let before = left_ms(&mut client, 1).await;
    assert!(before < LEFT - 200);
    program.child.kill().expect("it runs");
    program.ended().await;

    let right = Faketime::new(0);
    let mut program = start_by(&right, &settings(&directory));
    assert!(program.log_early().iter().any(|line| line.contains("the clock was set since the last process ended")));
    let mut client = Connection::open(program.address).await;
    let after = left_ms(&mut client, 1).await;
    assert!(after <= before && after > before - 5_000, "{after} of {before}");
    // What waits goes on with what it had, and what is over stays as it is.
    let again = client.read(&id(2)).await;
    assert_eq!(used_ms(&again, 0), used_ms(&paused, 0));
    assert!(tag_of(&again) > tag_of(&paused), "another state has another name");
    client.post(&id(2), "resume", &Value::Null).await;
    assert!(left_ms(&mut client, 2).await <= LEFT);
    assert_eq!(client.read(&id(3)).await, completed);
    drop(client);
    program.child.kill().expect("it runs");
    program.ended().await;
    let tags: Vec<_> = history(&directory, &id(2)).await.iter().map(|change| change.tag).collect();
    assert!(tags.is_sorted() && tags.len() == 5, "{tags:?}");

    // The clock goes on now: once is enough.
    let mut program = start_by(&right, &settings(&directory));
    assert!(!program.log_early().iter().any(|line| line.contains("the clock was set since")));
    let mut client = Connection::open(program.address).await;
    assert!(left_ms(&mut client, 1).await <= after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_ahead_charges_no_session_after_a_restart() {
    let directory = Directory::new();
    let faketime = Faketime::new(0);
    let mut program = start_by(&faketime, &settings(&directory));
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    faketime.set(1_800);
    wait::until("it is noticed", async || {
        let metrics = client.ask("GET", "/metrics", "").await.body;
        test_support::metrics::value(&metrics, "synckairos_clock_offset_seconds") > 1_000.0
    })
    .await;
    // Written down by the next look at the clock.
    let seen = Instant::now();
    wait::until("it is written down", async || seen.elapsed() > Duration::from_secs(1)).await;
    let before = left_ms(&mut client, 1).await;
    program.child.kill().expect("it runs");
    program.ended().await;

    let program = start_by(&faketime, &settings(&directory));
    let mut client = Connection::open(program.address).await;
    let after = left_ms(&mut client, 1).await;
    assert!(after <= before && before - after < 60_000, "{after} of {before}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_ran_out_long_ago_fire_by_themselves_after_a_restart() {
    const SESSIONS: u64 = 10;
    let directory = Directory::new();
    // Long ago, so that all lifetimes are over.
    let past = Faketime::new(-10_000);
    let mut program = start_by(&past, &settings(&directory));
    let mut client = Connection::open(program.address).await;
    for n in 1..=SESSIONS {
        client.create(&two_players(&id(n), 5_000)).await;
        client.post(&id(n), "start", &Value::Null).await;
    }
    let mut day = two_players(&id(SESSIONS + 1), 1_000);
    day["sync_mode"] = "per_cycle".into();
    day["on_timeout"] = "advance".into();
    day["total_time_ms"] = 86_400_000.into();
    client.create(&day).await;
    client.post(&id(SESSIONS + 1), "start", &Value::Null).await;
    program.child.kill().expect("it runs");
    program.ended().await;

    let mut program = start_by(&Faketime::new(0), &settings(&directory));
    let mut client = Connection::open(program.address).await;
    wait::until("one clock runs", async || {
        let metrics = client.ask("GET", "/metrics", "").await.body;
        test_support::metrics::value(&metrics, "synckairos_active_sessions") <= 1.0
    })
    .await;
    for n in 1..=SESSIONS {
        let state = client.read(&id(n)).await;
        assert_eq!((&state["status"], &state["version"]), (&"expired".into(), &3.into()));
        assert_eq!(state["session_completed_at"], state["participants"][0]["expired_at"]);
    }
    let state = client.read(&id(SESSIONS + 1)).await;
    assert_eq!(state["status"], "running");
    assert!(used_ms(&state, 0) > 4_000_000);
    drop(client);
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(history(&directory, &id(1)).await.len(), 3, "it flagged once");
}
