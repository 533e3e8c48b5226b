//! Failover between the hosts of a URL: a server that accepts and never answers times out, and the next host is tried.

use std::net::TcpListener;
use std::time::Duration;

use synckairos::audit::{Sink, WriteError};
use synckairos::engine::SessionId;
use synckairos::postgres::{MigrateError, PostgresArchive, PostgresSink, migrate_server};
use synckairos::store::{Archive, StoreError};
use synckairos::supervision::Supervisor;

use test_support::postgres::Postgres;
use test_support::program::{command, output};

use super::{migrated, rows, server, write};
use test_support::life::{Life, uuid};

/// A port where connections are taken and nothing is ever said.
fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("it listens").port()
}

#[test]
fn the_next_host_is_tried() {
    let (database, mut client, _) = migrated();
    let silent = silent();
    let url = database.url();
    let (_, place) = url.split_once('@').expect("a URL");
    let (there, name) = place.split_once('/').expect("a URL");
    for parameters in
        ["connect_timeout=1", "connect_timeout=1&sslmode=disable", "connect_timeout=1&target_session_attrs=read-write"]
    {
        let url = format!("postgres://postgres@127.0.0.1:{},{there}/{name}?{parameters}", port(&silent));
        client.batch_execute("truncate sync_events").expect("it answers");
        let mut sink = PostgresSink::new(server(&url));
        write(&mut sink, &Life::whole(1, 1)).expect("it is written at the second");
        assert_eq!(rows(&mut client, "select count(*) from sync_events"), r#"[{"count":7}]"#, "{parameters}");
        assert_eq!(migrate_server(&server(&url)).expect("the second answers").applied, [""; 0]);
        let archive = PostgresArchive::start(server(&url), &Supervisor::default()).expect("there are threads");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let found = runtime.block_on(archive.newest(SessionId(uuid(1))));
        assert!(found.expect("it answers").is_some());
    }
}

#[test]
fn a_server_that_never_answers_is_away_in_words() {
    let silent = silent();
    let url = format!("postgres://postgres@127.0.0.1:{}/audit?connect_timeout=1", port(&silent));
    let mut sink = PostgresSink::new(server(&url));
    let Err(WriteError::Unavailable(why)) = write(&mut sink, &Life::whole(1, 1)) else { panic!("nobody is there") };
    assert!(why.contains("no answer within 1s"), "{why}");
    assert_eq!(sink.probe(), Err(WriteError::Unavailable(why.clone())));
    assert_eq!(migrate_server(&server(&url)), Err(MigrateError::Database(why)));
    let program = output(command().arg("migrate").env("DATABASE_URL", &url));
    let said = String::from_utf8_lossy(&program.stderr).into_owned();
    assert_eq!(program.status.code(), Some(1), "{said}");
    assert!(said.contains("no answer within 1s"), "{said}");
    let archive = PostgresArchive::start(server(&url), &Supervisor::default()).expect("there are threads");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert!(matches!(runtime.block_on(archive.newest(SessionId(uuid(1)))), Err(StoreError::Unavailable(_))));
}

/// It stops in the middle of what it is doing: the connection is given up, and the next one is as good.
#[test]
fn a_server_that_stops_answering_is_given_up() {
    let postgres = Postgres::start();
    let server = server(&postgres.url("postgres"));
    migrate_server(&server).expect("the database is empty");
    let mut connection = server.connect(Duration::from_secs(10)).expect("it answers");
    postgres.signal("STOP");
    let asked = connection.ask(Duration::from_millis(300), async |client| client.batch_execute("select 1").await);
    assert!(asked.expect_err("nobody answers").to_string().contains("no answer"));
    let mut sink = PostgresSink::new(server.clone());
    assert!(matches!(sink.probe(), Err(WriteError::Unavailable(_))));
    postgres.signal("CONT");
    write(&mut sink, &Life::whole(1, 1)).expect("it is back");
}
