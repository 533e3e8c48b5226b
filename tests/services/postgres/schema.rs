//! Migrations run once, whoever runs them, from any state; an older program does not touch a newer schema.

use synckairos::postgres::{MigrateError, migrate_server};

use test_support::postgres::Database;

use super::{migrated, rows, server, write};
use test_support::life::Life;

const ALL: [&str; 4] = ["0001_schema", "0002_bytes", "0003_revocations", "0004_time_controls"];

#[test]
fn what_is_applied_is_not_applied_again() {
    let database = Database::create();
    let server = server(&database.url());
    assert_eq!(migrate_server(&server).expect("the database is empty").applied, ALL);
    assert_eq!(migrate_server(&server).expect("nothing is to be done").applied, [""; 0]);
    let names = rows(&mut database.connect(), "select name from sync_migrations order by name");
    assert_eq!(
        names,
        "[{\"name\":\"0001_schema\"}, \n {\"name\":\"0002_bytes\"}, \n {\"name\":\"0003_revocations\"}, \n {\"name\":\"0004_time_controls\"}]"
    );
}

#[test]
fn instances_that_start_together_make_the_tables_once() {
    let database = Database::create();
    let server = server(&database.url());
    let applied: usize = std::thread::scope(|scope| {
        let instance = || migrate_server(&server).expect("it works");
        let instances: Vec<_> = (0..4).map(|_| scope.spawn(instance)).collect();
        instances.into_iter().map(|instance| instance.join().expect("no panic").applied.len()).sum()
    });
    assert_eq!(applied, ALL.len());
}

#[test]
fn a_newer_database_is_refused() {
    let (database, mut client, _) = migrated();
    client.batch_execute("insert into sync_migrations (name) values ('9999_wonders')").expect("it fits");
    let error = migrate_server(&server(&database.url())).expect_err("it is newer");
    assert_eq!(error, MigrateError::Newer("9999_wonders".to_owned()));
    assert!(error.to_string().contains("9999_wonders"));
}

/// What is said to have been applied and what is there are two things.
#[test]
fn what_was_dropped_is_made_again() {
    let (database, mut client, mut sink) = migrated();
    let jobs = Life::whole(1, 1);
    write(&mut sink, &jobs).expect("it is written");
    let server = server(&database.url());
    for (gone, kept) in [
        ("drop table sync_events, sync_sessions, sync_participants cascade", 0),
        ("drop table sync_participants cascade", 7),
        ("drop table sync_revocations", 7),
        ("drop view v1_events", 7),
        ("alter table sync_sessions drop deadline_at cascade", 7),
        ("alter table sync_sessions drop time_control cascade", 7),
        ("alter table sync_events drop constraint sync_events_pkey", 7),
        ("drop table sync_migrations", 7),
        ("drop schema public cascade; create schema public", 0),
    ] {
        client.batch_execute(gone).expect("it fits");
        assert_eq!(migrate_server(&server).expect("it is made again").applied, ALL, "{gone}");
        assert_eq!(rows(&mut client, "select count(*) from sync_events"), format!(r#"[{{"count":{kept}}}]"#), "{gone}");
        assert_eq!(migrate_server(&server).expect("nothing is to be done").applied, [""; 0], "{gone}");
        // On a new connection: what was prepared names tables that are gone.
        let mut sink = synckairos::postgres::PostgresSink::new(server.clone());
        write(&mut sink, &jobs).expect("it is written");
        let audited = "select count(*) from audit_events";
        assert_eq!(rows(&mut client, audited), r#"[{"count":7}]"#, "{gone}");
        assert_eq!(rows(&mut client, "select count(*) from sync_participants"), r#"[{"count":2}]"#, "{gone}");
    }
}

/// A switch pays for one index beside what finds its place, and that one is as good as free.
#[test]
fn a_change_has_one_place_and_few_indexes() {
    let (_database, mut client, _) = migrated();
    let indexes = "select indexname, indexdef from pg_indexes where tablename = 'sync_events' order by 1";
    let found: Vec<(String, String)> =
        client.query(indexes, &[]).expect("it answers").iter().map(|row| (row.get(0), row.get(1))).collect();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["sync_events_kind", "sync_events_pkey", "sync_events_time_range"]);
    assert!(found[0].1.contains("<> 'cycle_switched'"), "{found:?}");
    assert!(found[1].1.ends_with(r#"(session_id, epoch, version, "timestamp")"#), "{found:?}");
    assert!(found[2].1.contains("USING brin"), "{found:?}");
}
