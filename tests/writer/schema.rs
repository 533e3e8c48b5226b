//! The tables come to be once, whoever makes them, and an older program keeps its hands off newer ones.

use std::time::Duration;

use synckairos::writer::{MigrateError, migrate, migrate_server};

use crate::support::postgres::Database;

use super::{migrated, rows, server};

#[test]
fn what_is_applied_is_not_applied_again() {
    let database = Database::create();
    let mut client = server(&database.url()).connect(Duration::from_secs(10)).expect("the server answers");
    assert_eq!(migrate(&mut client).expect("the database is empty").applied, ["0001_schema"]);
    assert_eq!(migrate(&mut client).expect("nothing is to be done").applied, [""; 0]);
    assert_eq!(rows(&mut client, "select name from sync_migrations"), r#"[{"name":"0001_schema"}]"#);
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
    assert_eq!(applied, 1);
}

#[test]
fn a_newer_database_is_refused() {
    let (_database, mut client, _) = migrated();
    client.batch_execute("insert into sync_migrations (name) values ('9999_wonders')").expect("it fits");
    let error = migrate(&mut client).expect_err("it is newer");
    assert_eq!(error, MigrateError::Newer("9999_wonders".to_owned()));
    assert!(error.to_string().contains("9999_wonders"));
}
