//! A PostgreSQL outage under load: clients do not notice, no job becomes a dead letter, and all rows are written afterwards.
//! `loadtest/outage` runs it for long and prints rates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use test_support::dice::scale;
use test_support::http::Connection;
use test_support::metrics::value as series;
use test_support::sessions::{id, two_players};

use super::rig::Rig;

const CLIENTS: u64 = 8;
const SESSIONS_EACH: u64 = 99;
const HOUR: u64 = 3_600_000;
/// So that what waits is bounded by time and not by the machine.
const PACE: Duration = Duration::from_millis(4);

const BEFORE: u8 = 0;
const DURING: u8 = 1;
const OVER: u8 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_go_on_while_the_database_is_away() {
    let away = Duration::from_secs(scale("SYNCKAIROS_TEST_AWAY_S", 4));
    let rig = Rig::start().await;
    let mut instance = rig.instance(&[]).await;
    instance.leave_log(|_| false);
    let phase = Arc::new(AtomicU8::new(BEFORE));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut http = Connection::open(instance.address).await;
        let phase = Arc::clone(&phase);
        clients.spawn(async move {
            let ids: Vec<_> = (0..SESSIONS_EACH).map(|n| id(100 * client + n)).collect();
            for id in &ids {
                http.create(&two_players(id, HOUR)).await;
                http.post(id, "start", &Value::Null).await;
            }
            let mut took = [Vec::new(), Vec::new()];
            for n in 0.. {
                let now = phase.load(Ordering::Relaxed);
                if now == OVER {
                    break;
                }
                let path = format!("/v1/sessions/{}/switch", ids[n % ids.len()]);
                let start = Instant::now();
                let answer = http.ask("POST", &path, "").await;
                took[usize::from(now)].push(start.elapsed());
                assert_eq!(answer.status, 200, "{answer:?}");
                tokio::time::sleep(PACE).await;
            }
            took
        });
    }
    tokio::time::sleep(away / 2).await;
    rig.postgres(|postgres| postgres.stop()).await;
    phase.store(DURING, Ordering::Relaxed);
    tokio::time::sleep(away).await;
    phase.store(OVER, Ordering::Relaxed);
    let mut took = [Vec::new(), Vec::new()];
    while let Some(client) = clients.join_next().await {
        let [before, during] = client.expect("the client ends well");
        took[0].extend(before);
        took[1].extend(during);
    }
    let changes = took.iter().map(Vec::len).sum::<usize>() as u64 + 2 * CLIENTS * SESSIONS_EACH;
    let [before, during] = took.map(|mut took| {
        took.sort_unstable();
        let at = |part: usize| took.get(took.len() * part / 100).map_or(f64::NAN, Duration::as_secs_f64) * 1_000.0;
        (at(50), at(99))
    });
    println!(
        "away for {away:?}: p50 {:.2} ms before and {:.2} ms during (ratio {:.2}), p99 {:.2} and {:.2} ms",
        before.0,
        during.0,
        during.0 / before.0,
        before.1,
        during.1
    );
    rig.postgres(|postgres| postgres.start_again()).await;
    drain(&rig, &instance, changes).await;
    assert_eq!(rig.number("select count(*) from sync_events").await, changes, "every change, once");
    assert_eq!(rig.operate(&["queue", "stats"]).await.1.lines().nth(3), Some("dead 0"));
}

async fn drain(rig: &Rig, instance: &test_support::program::Program, changes: u64) {
    let mut client = Connection::open(instance.address).await;
    let mut begun: Option<(Instant, f64)> = None;
    let first = written(&mut client).await;
    let start = Instant::now();
    loop {
        let now = written(&mut client).await;
        if begun.is_none() && now > first {
            begun = Some((Instant::now(), now));
        }
        if now >= changes as f64 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(300), "never drained: {now} of {changes}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Some((since, from)) = begun {
        let rate = (changes as f64 - from) / since.elapsed().as_secs_f64();
        println!(
            "{:.0} changes were written at {rate:.0} a second, {:?} after it was back",
            changes as f64 - first,
            since - start
        );
    }
    rig.drained().await;
}

async fn written(client: &mut Connection) -> f64 {
    series(&client.ask("GET", "/metrics", "").await.body, "synckairos_audit_written_total")
}
