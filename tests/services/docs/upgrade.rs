//! The way from version 1 to this one and back, and from one version's data directory to another's and back, as the page
//! says: what is restored is what was there.

use serde_json::Value;

use test_support::http::Connection;
use test_support::postgres::Postgres;
use test_support::redis::{Redis, free_port};
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::shell::Shell;
use super::{as_owner, find};

const PAGE: &str = "docs/run/upgrade.md";

#[test]
fn what_version_1_queued_is_counted_as_the_page_says() {
    let redis = Redis::start();
    let with_port = format!("redis-cli -p {}", redis.port());
    redis::cmd("RPUSH").arg("bull:db-writes:wait").arg("1").exec(&mut redis.connect()).expect("it answers");
    let printed = Shell::new(&[("redis-cli", &with_port)]).run(&find(PAGE, "redis-cli llen"));
    assert_eq!(printed, "1\n0\n0\n0\n");
}

/// Everything that is in a database, types and defaults included, as text.
fn contents(shell: &Shell) -> String {
    let dump = shell.run("pg_dump \"$DATABASE_URL\"");
    // Newer ones say a word of their own each time.
    dump.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_database_of_version_1_is_put_back_as_it_was() {
    let postgres = Postgres::start();
    postgres.connect("postgres").batch_execute("create database audit").expect("it is new");
    let fixture = include_str!("../../fixtures/schema/version_1.sql");
    postgres.connect("audit").batch_execute(fixture).expect("it fits");
    let mut environment = as_owner(&postgres);
    environment.push(("DATABASE_URL".to_owned(), postgres.url("audit")));
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let shell = Shell::new(&[]).with(&environment);
    let before = contents(&shell);
    assert!(before.contains("11111111-0000-4000-8000-00000000e003"), "{before}");
    for round in 0..2 {
        if round == 0 {
            shell.run(&find(PAGE, "pg_dump"));
        }
        assert_eq!(
            shell.run("synckairos migrate").trim(),
            "applied: version_1, 0001_schema, 0002_bytes, 0003_revocations, 0004_time_controls"
        );
        assert_ne!(contents(&shell), before);
        shell.run(&find(PAGE, "dropdb"));
        assert_eq!(contents(&shell), before, "every row, type and default is as it was");
    }
    let insert = "insert into sync_events (session_id, event_type) values (gen_random_uuid(), 'session_updated')";
    assert_eq!(postgres.connect("audit").execute(insert, &[]).expect("it has its defaults"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_is_put_back_as_it_was() {
    let port = free_port();
    let address = ([127, 0, 0, 1], port).into();
    let shell = Shell::new(&[]).with(&[("PORT", &port.to_string())]);
    let serve = "synckairos --data-dir ./data";
    let connected = async || {
        wait::until("it serves", async || Connection::try_open(address).await.is_some()).await;
        Connection::open(address).await
    };
    let older = shell.start(serve);
    let mut client = connected().await;
    client.create(&two_players(&id(1), 3_600_000)).await;
    let before = client.post(&id(1), "start", &Value::Null).await;
    tokio::task::block_in_place(|| shell.run(&find(PAGE, "synckairos backup")));
    client.post(&id(1), "switch", &Value::Null).await;
    client.create(&two_players(&id(2), 3_600_000)).await;
    drop((client, older));
    tokio::task::block_in_place(|| shell.run(&find(PAGE, "mv ./data")));
    let _restored = shell.start(serve);
    let mut client = connected().await;
    let state = client.read(&id(1)).await;
    assert_eq!((&state["version"], &state["status"]), (&before["version"], &"running".into()));
    assert_eq!(state["cycle_started_at"], before["cycle_started_at"], "its clock was never stopped");
    assert_eq!(client.ask("GET", &format!("/v1/sessions/{}", id(2)), "").await.status, 404);
}
