//! Recovery: sessions that Redis has lost come back from the archive, on demand, once, and never in an older state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use serde_json::Value;
use tokio::task::JoinSet;

use test_support::http::Connection;
use test_support::instant;
use test_support::metrics::value as series;
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::rig::Rig;

const HOUR: u64 = 3_600_000;

super::on_one_and_on_many!(
    a_lost_session_comes_back_on_demand,
    an_older_state_never_comes_back,
    a_command_is_known_after_its_session_was_lost,
    what_is_over_is_shown_and_comes_back_by_a_command_only,
    a_lapsed_session_that_is_recovered_is_announced,
    a_clock_that_ran_out_while_no_instance_was_up_fires_though_redis_has_dropped_it,
    a_scan_of_ids_takes_no_other_clients_lookups,
    a_corrupt_state_is_recovered_from_the_audit,
    what_was_audited_comes_back_though_redis_is_emptied_under_load,
);

async fn read(client: &mut Connection, n: u64) -> (u16, Value) {
    let answer = client.ask("GET", &format!("/v1/sessions/{}", id(n)), "").await;
    (answer.status, answer.json()["data"].clone())
}

async fn a_command_is_known_after_its_session_was_lost(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    let (path, key) = (format!("/v1/sessions/{}/switch", id(1)), id(7));
    let mut switch = async |body: &str| {
        let answer = client.ask_with("POST", &path, &[("Idempotency-Key", &*key)], body).await;
        (answer.status, answer.header("idempotency-replayed").is_some(), answer.json()["data"]["version"].as_u64())
    };
    assert_eq!(switch("").await, (200, false, Some(3)));
    rig.drained().await;
    rig.empty();
    assert_eq!(switch("").await, (200, true, Some(4)), "it was brought back, and not switched");
    assert_eq!(switch(r#"{"expected_version":4}"#).await, (422, false, None));
    assert_eq!(switch("").await, (200, true, Some(4)));
}

async fn a_lost_session_comes_back_on_demand(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    let mut ends_ms = 0;
    for n in [1, 2, 4, 5, 3] {
        client.create(&two_players(&id(n), if n == 3 { 1_000 } else { HOUR })).await;
        let state = client.post(&id(n), "start", &Value::Null).await;
        ends_ms = instant::ms(&state["deadline_at"]);
    }
    let before = client.post(&id(1), "switch", &Value::Null).await;
    let deleted = client.ask("DELETE", &format!("/v1/sessions/{}", id(4)), "").await;
    assert_eq!(deleted.status, 204);
    rig.drained().await;
    rig.empty();

    let mut tasks = JoinSet::new();
    for _ in 0..1_000 {
        let address = instance.address;
        tasks.spawn(async move { read(&mut Connection::open(address).await, 2).await });
    }
    while let Some(task) = tasks.join_next().await {
        let (status, state) = task.expect("the client ends well");
        assert_eq!((status, &state["version"]), (200, &3.into()));
    }
    let metrics = client.ask("GET", "/metrics", "").await.body;
    let lookups = series(&metrics, "synckairos_recovery_lookups_total");
    assert!((1.0..=2.0).contains(&lookups), "they share one, and a clock that runs out may have another: {lookups}");

    // A command brings a session back as well, and is carried out on it.
    let switched = client.ask("POST", &format!("/v1/sessions/{}/switch", id(1)), "").await;
    assert_eq!((switched.status, &switched.json()["data"]["version"]), (200, &5.into()));
    let (_, after) = read(&mut client, 1).await;
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64() || before["epoch"].is_null(), "{before} {after}");
    // A clock that ran out meanwhile has flagged.
    wait::until("its time is over", async || {
        client.ask("GET", "/v1/time", "").await.json()["timestamp_ms"].as_u64() > Some(ends_ms)
    })
    .await;
    let (status, flagged) = read(&mut client, 3).await;
    assert_eq!((status, &flagged["status"]), (200, &"expired".into()));
    assert_eq!(read(&mut client, 4).await.0, 404, "what was deleted stays so");
    assert_eq!(read(&mut client, 99).await.0, 404);
    // Deleting what is lost is a deletion.
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(5)), "").await.status, 204);
    assert_eq!(read(&mut client, 5).await.0, 404);
    rig.drained().await;
    for (n, expected) in [
        (1, "session_created session_started cycle_switched session_recovered cycle_switched"),
        (2, "session_created session_started session_recovered"),
        (4, "session_created session_started session_deleted"),
        (5, "session_created session_started session_recovered session_deleted"),
    ] {
        let history = client.ask("GET", &format!("/v1/sessions/{}/events", id(n)), "").await.json();
        let history = history["data"].as_array().expect("a list");
        let told: Vec<_> = history.iter().filter_map(|change| change["event_type"].as_str()).collect();
        assert_eq!(told.join(" "), expected, "session {n}");
        assert!(history.iter().enumerate().all(|(place, change)| change["version"] == place + 1), "{history:?}");
    }
}

async fn what_is_over_is_shown_and_comes_back_by_a_command_only(rig: Rig) {
    let instance = rig.instance(&[("LIFETIME_PENDING_S", "1"), ("LIFETIME_ENDED_S", "1")]).await;
    let mut client = Connection::open(instance.address).await;
    for n in [1, 2] {
        client.create(&two_players(&id(n), HOUR)).await;
    }
    client.post(&id(1), "start", &Value::Null).await;
    let ended = client.post(&id(1), "complete", &Value::Null).await;
    rig.drained().await;
    wait::until("Redis has dropped them", async || !rig.has(&id(1)) && !rig.has(&id(2))).await;
    for _ in 0..3 {
        let (status, state) = read(&mut client, 1).await;
        assert_eq!((status, &state), (200, &ended), "it is shown as it ended");
        let (status, state) = read(&mut client, 2).await;
        assert_eq!((status, &state["status"], &state["version"]), (200, &"pending".into(), &1.into()));
    }
    let mut watcher = Client::join(instance.address, &id(1)).await;
    assert_eq!(watcher.next().await["state"], ended);
    assert!(!rig.has(&id(1)) && !rig.has(&id(2)), "nobody who looks brings it back");
    let metrics = client.ask("GET", "/metrics", "").await.body;
    assert_eq!(series(&metrics, "synckairos_recovery_sessions_total"), 0.0);

    assert_eq!(client.post(&id(2), "start", &Value::Null).await["version"], 3, "a command does");
    let again = client.ask("POST", &format!("/v1/sessions/{}/start", id(1)), "").await;
    assert_eq!((again.status, again.code().as_str()), (400, "INVALID_STATE_TRANSITION"));
}

async fn a_lapsed_session_that_is_recovered_is_announced(rig: Rig) {
    let settings = [("LIFETIME_PENDING_S", "2")];
    let instances = [rig.instance(&settings).await, rig.instance(&settings).await];
    let mut client = Connection::open(instances[0].address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    let mut watchers = Vec::new();
    for instance in &instances {
        watchers.push(Client::join(instance.address, &id(1)).await);
    }
    for mut watcher in watchers {
        let end = watcher.next_of("SESSION_DELETED").await;
        assert_eq!(end["reason"], "lapsed", "{end}");
        assert_eq!(u16::from(watcher.closed().await.code), 1000);
    }
    rig.drained().await;
    let mut watchers = Vec::new();
    for instance in &instances {
        let mut watcher = Client::join(instance.address, &id(1)).await;
        assert_eq!(watcher.next_of("STATE_SYNC").await["state"]["status"], "pending");
        watchers.push(watcher);
    }
    let started = client.post(&id(1), "start", &Value::Null).await;
    assert_eq!(started["version"], 3, "it was recovered before");
    for instance in &instances {
        let mut late = Client::join(instance.address, &id(1)).await;
        assert_eq!(late.next_of("STATE_SYNC").await["state"], started);
        watchers.push(late);
    }
    client.post(&id(1), "switch", &Value::Null).await;
    for watcher in &mut watchers {
        while watcher.next_of("STATE_UPDATE").await["state"]["version"] != 4 {}
    }
}

async fn a_clock_that_ran_out_while_no_instance_was_up_fires_though_redis_has_dropped_it(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    for n in 1..=4 {
        client.create(&two_players(&id(n), if n == 1 { 5_000 } else { HOUR })).await;
    }
    let mut ends_ms = 0;
    for n in (1..=4).rev() {
        ends_ms = instant::ms(&client.post(&id(n), "start", &Value::Null).await["deadline_at"]);
    }
    client.post(&id(2), "complete", &Value::Null).await;
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(3)), "").await.status, 204);
    rig.drained().await;
    drop(instance);
    let now_ms = || UNIX_EPOCH.elapsed().expect("it is later").as_millis() as u64;
    wait::until("its clock runs out", async || now_ms() > ends_ms).await;
    // As it is when all instances were away for so long that the states are gone.
    for n in 1..=4 {
        rig.forget(&id(n));
        rig.index(&id(n), 1);
    }
    let instance = rig.instance(&[]).await;
    wait::until("nothing is due", async || rig.indexed() == 0).await;
    assert_eq!((1..=4).map(|n| rig.has(&id(n))).collect::<Vec<_>>(), [true, false, false, false]);
    rig.drained().await;
    let mut client = Connection::open(instance.address).await;
    let history = client.ask("GET", &format!("/v1/sessions/{}/events", id(1)), "").await.json();
    let last = history["data"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    let events: Vec<_> =
        last["events"].as_array().into_iter().flatten().filter_map(|one| one["event"].as_str()).collect();
    assert_eq!(events, ["participant_expired", "session_expired", "recovered"], "{history}");
    assert_eq!(client.read(&id(1)).await["status"], "expired");
}

async fn a_corrupt_state_is_recovered_from_the_audit(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    for n in 1..=4 {
        client.create(&two_players(&id(n), HOUR)).await;
    }
    rig.drained().await;
    for n in 1..=4 {
        rig.spoil(&id(n));
    }
    let (status, state) = read(&mut client, 1).await;
    assert_eq!((status, &state["status"], &state["version"]), (200, &"pending".into(), &2.into()));
    assert_eq!(client.post(&id(2), "start", &Value::Null).await["version"], 3);
    let mut watcher = Client::join(instance.address, &id(3)).await;
    assert_eq!(watcher.next().await["state"]["version"], 2);
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(4)), "").await.status, 204);
    assert_eq!(read(&mut client, 4).await.0, 404, "what was deleted stays so");
    rig.drained().await;
    rig.spoil(&id(5));
    assert_eq!(read(&mut client, 5).await.0, 500, "nobody knows it");
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(5)), "").await.status, 204);
    assert_eq!(read(&mut client, 5).await.0, 404);
}

async fn a_scan_of_ids_takes_no_other_clients_lookups(rig: Rig) {
    const SCANNERS: u64 = 100;
    let instance = rig.instance(&[("REQUEST_TIMEOUT_MS", "20000")]).await;
    let mut client = Connection::open(instance.address).await;
    let lost: Vec<_> = (1..=20).collect();
    for n in &lost {
        client.create(&two_players(&id(*n), HOUR)).await;
    }
    rig.drained().await;
    rig.empty();
    let refused = Arc::new(AtomicU64::new(0));
    let mut scanners = JoinSet::new();
    for scanner in 0..SCANNERS {
        let (refused, address) = (Arc::clone(&refused), instance.address);
        scanners.spawn(async move {
            let mut client = Connection::open(address).await;
            for n in 0.. {
                let path = format!("/v1/sessions/{}", id(1_000_000 + scanner * 1_000_000 + n));
                match client.ask("GET", &path, "").await.status {
                    404 => {}
                    503 => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    status => panic!("{status}"),
                }
            }
        });
    }
    wait::until("the scanners have their share", async || refused.load(Ordering::Relaxed) > 100).await;
    // Somebody else, at another address.
    let socket = tokio::net::TcpSocket::new_v4().expect("there is room");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("it is ours");
    let mut honest = Connection::over(socket.connect(instance.address).await.expect("it listens"));
    for n in lost {
        let (status, state) = read(&mut honest, n).await;
        assert_eq!((status, &state["version"]), (200, &2.into()), "session {n}");
    }
    scanners.shutdown().await;
}

async fn an_older_state_never_comes_back(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    rig.drained().await;
    rig.postgres(|postgres| postgres.signal("STOP")).await;
    client.post(&id(1), "start", &Value::Null).await;
    rig.forget(&id(1));
    let answer = client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"), "its last change is on its way");
    rig.postgres(|postgres| postgres.signal("CONT")).await;
    rig.drained().await;
    let (status, state) = read(&mut client, 1).await;
    assert_eq!((status, &state["version"], &state["status"]), (200, &3.into(), &"running".into()));
}

async fn what_was_audited_comes_back_though_redis_is_emptied_under_load(rig: Rig) {
    const CLIENTS: u64 = 8;
    let mut instances = [rig.instance(&[]).await, rig.instance(&[]).await];
    instances.iter_mut().for_each(|instance| instance.leave_log(|_| false));
    let addresses = [instances[0].address, instances[1].address];
    let is_over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let (is_over, done) = (Arc::clone(&is_over), Arc::clone(&done));
        let mut client = Connection::open(addresses[n as usize % 2]).await;
        client.create(&two_players(&id(n), HOUR)).await;
        client.post(&id(n), "start", &Value::Null).await;
        clients.spawn(async move {
            let mut tags = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let answer = client.ask("POST", &format!("/v1/sessions/{}/switch", id(n)), "").await;
                match answer.status {
                    200 => {
                        let tag = answer.header("etag").expect("a tag").trim_matches('"').to_owned();
                        let tag =
                            tag.split_once('.').map(|(epoch, version)| (epoch.parse::<u64>(), version.parse::<u64>()));
                        let Some((Ok(epoch), Ok(version))) = tag else { panic!("{answer:?}") };
                        tags.push((epoch, version));
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    // What was queued is on its way, or the change was in the middle of it.
                    503 => {}
                    _ => panic!("{answer:?}"),
                }
            }
            tags
        });
    }
    wait::until("there is load", async || done.load(Ordering::Relaxed) > 500).await;
    wait::until("some of it is audited", async || rig.number("select count(*) from sync_sessions").await == CLIENTS)
        .await;
    rig.empty();
    let audited = rig.rows("select session_id, epoch, version from sync_sessions").await;
    let before = done.load(Ordering::Relaxed);
    wait::until("all goes on", async || done.load(Ordering::Relaxed) > before + 500).await;
    is_over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        let tags = client.expect("the client ends well");
        assert!(tags.is_sorted_by(|earlier, later| earlier < later), "no state is issued twice: {tags:?}");
        assert!(tags.first().map(|tag| tag.0) < tags.last().map(|tag| tag.0), "it came back with a higher epoch");
    }
    rig.drained().await;
    let mut client = Connection::open(addresses[0]).await;
    for row in audited {
        let session = row["session_id"].as_str().expect("an id").to_owned();
        let state = client.ask("GET", &format!("/v1/sessions/{session}"), "").await.json()["data"].clone();
        let tag = |value: &Value| (value["epoch"].as_u64(), value["version"].as_u64());
        assert!(tag(&state) > tag(&row) && state["version"].as_u64() > row["version"].as_u64(), "{state} after {row}");
    }
    let twice =
        "select count(*) from (select 1 from sync_events group by session_id, epoch, version having count(*) > 1) x";
    assert_eq!(rig.number(twice).await, 0);
}
