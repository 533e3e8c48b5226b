//! Retention: sessions that are over go as a whole, living ones keep their newest state.

use std::time::Duration;

use synckairos::engine::{Command, SessionId};
use synckairos::postgres::{SchemaStatus, erase_at, keep_migrated, keep_retained};
use synckairos::supervision::Supervisor;

use super::{migrated, rows, server, write};
use test_support::life::{Life, SWITCH, uuid};

/// Longer than any life takes.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const LEFT: &str = "select (select count(*) from sync_events) as events, (select count(*) from sync_sessions) as sessions, \
                    (select count(*) from sync_participants) as participants";

#[test]
fn what_is_over_goes_and_what_lives_keeps_its_newest_state() {
    let (database, mut client, mut sink) = migrated();
    // More than are looked at in one go; all of them are over for long.
    for n in 1..=250 {
        write(&mut sink, &Life::whole(n, 1)).expect("it is written");
    }
    // One that runs: its clock runs out in the future, however long ago it began.
    let (mut life, created) = Life::begin(900, 1);
    write(&mut sink, &[created, life.step(&Command::Start, 1), life.step(&SWITCH, 2)]).expect("it is written");
    let lives = format!("update sync_sessions set deadline_at = now() where session_id = '{}'", uuid(900));
    client.batch_execute(&lives).expect("it fits");
    let url = database.url();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (tables, supervisor) = (SchemaStatus::default(), Supervisor::default());
    runtime.spawn(keep_migrated(server(&url), supervisor.clone(), tables.clone()));
    runtime.spawn(keep_retained(server(&url), DAY, tables, supervisor));
    while !rows(&mut client, LEFT).contains(r#""sessions":1,"#) {
        std::thread::yield_now();
    }
    assert_eq!(rows(&mut client, LEFT), r#"[{"events":1,"sessions":1,"participants":2}]"#);
    let kept = "select version, event_type from sync_events";
    assert_eq!(rows(&mut client, kept), r#"[{"version":3,"event_type":"cycle_switched"}]"#);
}

#[test]
fn a_session_is_forgotten_when_that_is_asked() {
    let (database, mut client, mut sink) = migrated();
    write(&mut sink, &[Life::whole(1, 1), Life::whole(2, 1)].concat()).expect("it is written");
    assert_eq!(erase_at(&server(&database.url()), SessionId(uuid(1))).expect("it answers"), 7);
    assert_eq!(rows(&mut client, LEFT), r#"[{"events":7,"sessions":1,"participants":2}]"#);
    assert_eq!(erase_at(&server(&database.url()), SessionId(uuid(1))).expect("it answers"), 0, "it is gone");
}
