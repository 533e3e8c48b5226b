//! Sessions that exist only in tables of version 1 are recovered like any other.

use serde_json::{Value, json};

use test_support::http::Connection;
use test_support::instant;
use test_support::sessions::id;
use test_support::wait;
use test_support::ws::Client;

use super::rig::Rig;

/// A session that version 1 had in its Redis as it stands in its tables, changed a minute ago.
fn left(name: &str, n: u64) -> String {
    let state = std::fs::read_to_string(format!("tests/fixtures/redis/version_1/{name}.json")).expect("it is there");
    let state = state.trim().replace(&state[15..51], &id(n));
    // Its clock would have run out by now.
    let state = state.replace(":95000", ":3595000").replace(":100000", ":3600000");
    let mode = serde_json::from_str::<Value>(&state).expect("it is JSON")["sync_mode"].clone();
    format!(
        "insert into sync_sessions (session_id, sync_mode, final_status)
         select '{id}', '{mode}', (state ->> 'status')::sync_status from (select '{state}'::jsonb as state) as left_one;
         insert into sync_events (session_id, event_type, \"timestamp\", state_snapshot)
         select '{id}', 'session_updated', date_trunc('minute', now()) - interval '50 s',
             replace('{state}', '2026-01-31T12:00:', to_char(date_trunc('minute', now() at time zone 'UTC') -
                 interval '1 min', 'YYYY-MM-DD\"T\"HH24:MI:'))::jsonb;\n",
        id = id(n),
        mode = mode.as_str().expect("a mode"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_its_tables_alone_comes_back() {
    let rig = Rig::start().await;
    let all = ["pending", "running", "groups", "global", "expired", "running", "running"];
    let sessions: String = all.iter().zip(1..).map(|(name, n)| left(name, n)).collect();
    rig.postgres(move |postgres| {
        let mut database = postgres.connect("postgres");
        database.batch_execute(include_str!("../../fixtures/schema/version_1.sql")).expect("it is empty");
        database.batch_execute(&sessions).expect("they fit");
    })
    .await;
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    wait::until("its tables are ours", async || client.ask("GET", "/ready", "").await.json()["status"] == "ready")
        .await;
    let own = "select right(session_id::text, 1) as n, state_snapshot as state from sync_events where session_id < '1'";
    let before = rig.rows(&own.replace("'1'", "'10000000-0000-4000-8000-000000000000'")).await;
    for (name, n) in all.iter().zip(1..6) {
        let was = &before.iter().find(|row| row["n"].as_str() == Some(&id(n)[35..])).expect("it is there")["state"];
        let now = client.read(&id(n)).await;
        // What comes back is its next version, but what has ended is only shown.
        let more = u64::from(*name != "expired");
        assert_eq!(now["version"].as_u64(), was["version"].as_u64().map(|version| version + more), "{name}: {now}");
        for (member, value) in was.as_object().expect("a state") {
            match member.as_str() {
                "version" | "updated_at" => {}
                // It said of completed ones only when that was.
                "session_completed_at" if *name == "expired" => assert_eq!(now[member], was["updated_at"]),
                "participants" => assert_participants(value, &now[member]),
                _ => assert_eq!(&now[member], value, "{name}: {member}"),
            }
        }
        assert_eq!((&now["on_timeout"], rig.has(&id(n))), (&json!("expire"), more == 1), "{name}");
    }
    let running = client.read(&id(2)).await;
    let left_ms = instant::ms(&running["deadline_at"]) - instant::ms(&running["cycle_started_at"]);
    assert_eq!(left_ms, 290_000, "its clock goes on from what it had");

    // A command brings one back as well, and so does whoever watches.
    let switched = client.post(&id(6), "switch", &Value::Null).await;
    assert_eq!((&switched["status"], &switched["version"]), (&json!("running"), &json!(6)));
    assert_eq!(client.post(&id(3), "resume", &Value::Null).await["status"], "running");
    let mut watcher = Client::join(instance.address, &id(7)).await;
    assert_eq!(watcher.next().await["state"]["status"], "running");
    rig.drained().await;
    let history = client.ask("GET", &format!("/v1/sessions/{}/events", id(6)), "").await.json();
    let told: Vec<_> = history["data"].as_array().expect("a list").iter().map(|change| &change["event_type"]).collect();
    assert_eq!(told, ["session_updated", "session_recovered", "cycle_switched"]);
}

/// What version 1 said of each is what is said now, and more.
fn assert_participants(before: &Value, now: &Value) {
    let (before, now) = (before.as_array().expect("a list"), now.as_array().expect("a list"));
    assert_eq!(before.len(), now.len());
    for (before, now) in before.iter().zip(now) {
        for (member, value) in before.as_object().expect("a participant") {
            assert_eq!(&now[member], value, "{member} of {now}");
        }
    }
}
