//! Whose fault a failed write is: the job's or the database's.

use synckairos::audit::{Sink, WriteError};
use synckairos::postgres::{PostgresSink, migrate_server};

use test_support::postgres::Postgres;

use super::{migrated, rows, server, write};
use test_support::life::Life;

#[test]
fn a_job_that_cannot_be_read_is_to_blame_and_takes_its_batch_along() {
    let (_database, mut client, mut sink) = migrated();
    let good = Life::begin(1, 1).1;
    let text = String::from_utf8(Life::begin(2, 1).1).expect("JSON is text");
    for bad in [
        text.replacen("00000000-0000-4000-8000", "nobody", 1),
        text.replace(r#""epoch":1,"#, r#""epoch":99999999999999999999,"#),
        text.replace("per_participant", "per_planet"),
        text.replace("session_created", &"session_created".repeat(9)),
        text.replace(r#""cycle_number":0,"#, ""),
        text.replace("2025-01-01T", "2025-02-31T"),
        "[]".to_owned(),
        "{}".to_owned(),
        "no JSON".to_owned(),
        String::new(),
    ] {
        let error = write(&mut sink, &[good.clone(), bad.clone().into_bytes()]).expect_err(&bad);
        assert!(matches!(error, WriteError::BadJob(_)), "{bad}: {error:?}");
    }
    let error = sink.write(&[&good, b"\xff"]).expect_err("no text");
    assert!(matches!(error, WriteError::BadJob(_)), "{error:?}");
    assert_eq!(rows(&mut client, "select 1 from sync_events"), "", "all or none");
    write(&mut sink, &[good]).expect("the connection is as good as before");
}

#[test]
fn a_job_that_breaks_a_rule_never_fits() {
    let (_database, mut client, mut sink) = migrated();
    client.batch_execute("alter table sync_events add check (version <> 1)").expect("it fits");
    let jobs = Life::whole(1, 1);
    let error = write(&mut sink, &jobs).expect_err("the first");
    assert!(matches!(error, WriteError::Constraint(_)), "{error:?}");
    write(&mut sink, &jobs[1..]).expect("all others");
}

#[test]
fn a_database_without_tables_or_at_its_limits_is_away() {
    let (_database, mut client, mut sink) = migrated();
    let job = [Life::begin(1, 1).1];
    client.batch_execute("alter table sync_events rename to elsewhere").expect("it fits");
    assert!(matches!(write(&mut sink, &job), Err(WriteError::Unavailable(_))));
    client.batch_execute("alter table elsewhere rename to sync_events").expect("it fits");
    write(&mut sink, &job).expect("it is back");
    let end = "select pg_terminate_backend(pid) from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid()";
    client.batch_execute(end).expect("it fits");
    assert!(matches!(write(&mut sink, &job), Err(WriteError::Unavailable(_))));
    write(&mut sink, &job).expect("on a new connection");
}

#[test]
fn a_server_that_stopped_is_away_until_it_is_back() {
    let mut postgres = Postgres::start();
    let url = postgres.url("postgres");
    migrate_server(&server(&url)).expect("the database is empty");
    let mut sink = PostgresSink::new(server(&url));
    let jobs = Life::whole(1, 1);
    write(&mut sink, &jobs[..1]).expect("it is written");
    postgres.stop();
    for _ in 0..3 {
        assert!(matches!(write(&mut sink, &jobs), Err(WriteError::Unavailable(_))));
    }
    postgres.start_again();
    write(&mut sink, &jobs).expect("it is back");
    let mut client = postgres.connect("postgres");
    assert_eq!(rows(&mut client, "select count(*) from sync_events"), r#"[{"count":7}]"#);
}
