//! Databases of earlier versions are migrated in place: no row is lost, and old readers keep working.

use postgres::Client;
use synckairos::engine::{SessionId, StateTag, Uuid};
use synckairos::postgres::{PostgresArchive, PostgresSink, migrate_server};
use synckairos::store::{Archive, PageLimit};
use synckairos::supervision::Supervisor;

use test_support::postgres::Database;

use super::{rows, server, write};
use test_support::life::Life;

/// A database as a file says, then migrated.
fn upgraded(fixture: &str) -> (Database, Client, Vec<&'static str>) {
    let database = Database::create();
    let mut client = database.connect();
    client.batch_execute(fixture).expect("the fixture fits");
    client.batch_execute("set timezone = 'UTC'").expect("it fits");
    let applied = migrate_server(&server(&database.url())).expect("it is migrated").applied;
    assert_eq!(migrate_server(&server(&database.url())).expect("nothing is to be done").applied, [""; 0]);
    (database, client, applied)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn session(id: &str) -> SessionId {
    Uuid::parse(id).map(SessionId).expect("an id")
}

const ROOM: PageLimit = PageLimit { changes: 100, bytes: usize::MAX };

#[test]
fn a_database_of_2_0_0_keeps_its_rows_and_takes_new_ones() {
    let (database, mut client, applied) = upgraded(include_str!("../../fixtures/schema/2_0_0.sql"));
    assert_eq!(
        applied,
        ["0001_schema", "0002_bytes", "0003_revocations", "0004_time_controls"],
        "the first finds all of its own there"
    );
    let held = "select version, event_type, state_snapshot ->> 'status' as status, metadata -> 'events' -> 0 ->> 'event' as event \
                from audit_events order by session_id, version, id";
    let told = rows(&mut client, held);
    for part in ["created", "started", "switched", "cancelled", "completed"] {
        assert!(told.contains(&format!(r#""event":"{part}""#)), "{told}");
    }
    let sessions = "select status, final_status, metadata from audit_sessions";
    assert_eq!(
        rows(&mut client, sessions),
        r#"[{"status":"running","final_status":null,"metadata":{"a": null, "z": 1}}]"#
    );
    // A life that goes on where it was, and one that is new.
    let mut sink = PostgresSink::new(server(&database.url()));
    let jobs = [Life::whole(1, 1_735_689_700_000), Life::whole(7, 1)].concat();
    write(&mut sink, &jobs).expect("it is written");
    assert_eq!(rows(&mut client, "select count(*) from sync_events"), r#"[{"count":19}]"#);
    let newest =
        "select status, metadata from audit_sessions where session_id = '00000000-0000-4000-8000-000000000001'";
    assert!(rows(&mut client, newest).contains(r#"{"table": 7, "nothing": null}"#));
    let archive = PostgresArchive::start(server(&database.url()), &Supervisor::default()).expect("there are threads");
    let history =
        block_on(archive.changes(session("00000000-0000-4000-8000-000000000001"), None, ROOM)).expect("it answers");
    let tags: Vec<_> = history.changes.iter().map(|change| change.tag.version).collect();
    assert_eq!(tags, [1, 2, 3, 1, 2, 3, 4, 5, 6, 7]);
    let first: serde_json::Value = serde_json::from_slice(&history.changes[0].job).expect("it is JSON");
    assert_eq!(first["events"][0]["event"], "created");
    assert_eq!(first["state"]["metadata"]["z"], 1);
}

/// What version 1's readers know: its columns with its types and meanings.
const SESSIONS: &str = "select session_id, sync_mode, time_per_cycle_ms, increment_ms, max_time_ms, completed_at, \
                        final_status, total_cycles, total_participants, metadata from v1_sessions order by 1";
const EVENTS: &str = "select id, event_type, participant_id, time_remaining_ms, cycle_number, \
                      state_snapshot ->> 'version' as version, metadata from v1_events order by session_id, \"timestamp\", id";

#[test]
fn a_database_of_version_1_is_migrated_where_it_is() {
    let (database, mut client, applied) = upgraded(include_str!("../../fixtures/schema/version_1.sql"));
    assert_eq!(applied, ["version_1", "0001_schema", "0002_bytes", "0003_revocations", "0004_time_controls"]);
    let told = rows(&mut client, SESSIONS);
    assert_eq!(
        told,
        concat!(
            r#"[{"session_id":"11111111-0000-4000-8000-000000000001","sync_mode":"per_participant","time_per_cycle_ms":null,"increment_ms":2000,"max_time_ms":null,"completed_at":null,"final_status":"running","total_cycles":1,"total_participants":2,"metadata":{}}, "#,
            "\n ",
            r#"{"session_id":"11111111-0000-4000-8000-000000000002","sync_mode":"per_cycle","time_per_cycle_ms":5000,"increment_ms":0,"max_time_ms":90000,"completed_at":"2025-01-01T00:00:05+00:00","final_status":"completed","total_cycles":0,"total_participants":1,"metadata":{}}, "#,
            "\n ",
            r#"{"session_id":"11111111-0000-4000-8000-000000000003","sync_mode":"global","time_per_cycle_ms":null,"increment_ms":0,"max_time_ms":null,"completed_at":null,"final_status":"pending","total_cycles":0,"total_participants":0,"metadata":{}}, "#,
            "\n ",
            r#"{"session_id":"11111111-0000-4000-8000-000000000004","sync_mode":"global","time_per_cycle_ms":null,"increment_ms":0,"max_time_ms":null,"completed_at":null,"final_status":"pending","total_cycles":0,"total_participants":1,"metadata":{}}]"#
        )
    );
    let told = rows(&mut client, EVENTS);
    assert_eq!(told.matches("\"id\"").count(), 8, "every row is there: {told}");
    let switched = r#"{"id":"11111111-0000-4000-8000-00000000e003","event_type":"session_updated","participant_id":"aaaaaaaa-0000-4000-8000-000000000002","time_remaining_ms":600000,"cycle_number":1,"version":"3","metadata":{}}"#;
    assert!(told.contains(switched), "{told}");
    // The later of two lives is the newest, and so is the later change of one, whenever it was written.
    let newest = "select right(session_id::text, 1) as session, epoch, version from sync_sessions order by 1";
    assert_eq!(
        rows(&mut client, newest),
        concat!(
            r#"[{"session":"1","epoch":1735689600000,"version":3}, "#,
            "\n ",
            r#"{"session":"2","epoch":0,"version":0}, "#,
            "\n ",
            r#"{"session":"3","epoch":0,"version":0}, "#,
            "\n ",
            r#"{"session":"4","epoch":1735696800000,"version":1}]"#
        )
    );
    let archive = PostgresArchive::start(server(&database.url()), &Supervisor::default()).expect("there are threads");
    let found = block_on(archive.newest(session("11111111-0000-4000-8000-000000000001"))).expect("it answers");
    let found = found.expect("it is there");
    assert_eq!((found.tag, found.is_deleted), (StateTag { epoch: 1_735_689_600_000, version: 3 }, false));
    let none = block_on(archive.newest(session("11111111-0000-4000-8000-000000000002"))).expect("it answers");
    assert_eq!(none, None, "its only change has no state");
    let history =
        block_on(archive.changes(session("11111111-0000-4000-8000-000000000004"), None, ROOM)).expect("it answers");
    assert_eq!(history.changes.len(), 4);
}

#[test]
fn readers_of_version_1_read_what_is_written_now() {
    let (database, mut client, _) = upgraded(include_str!("../../fixtures/schema/version_1.sql"));
    let mut sink = PostgresSink::new(server(&database.url()));
    write(&mut sink, &Life::whole(1, 1)).expect("it is written");
    let types = "select string_agg(format_type(atttypid, atttypmod), ',' order by attnum) as types from pg_attribute \
                 where attnum > 0 and attrelid = ";
    for (view, expected) in [
        (
            "v1_sessions",
            "uuid,sync_mode,integer,integer,integer,timestamp with time zone,timestamp with time zone,timestamp with time zone,sync_status,integer,integer,jsonb,timestamp with time zone",
        ),
        (
            "v1_events",
            "uuid,uuid,character varying(50),uuid,uuid,integer,integer,integer,timestamp with time zone,jsonb,jsonb",
        ),
        (
            "v1_participants",
            "uuid,uuid,uuid,integer,uuid,integer,integer,timestamp with time zone,timestamp with time zone,timestamp with time zone,jsonb",
        ),
    ] {
        let told = rows(&mut client, &format!("{types}'{view}'::regclass"));
        assert_eq!(told, format!(r#"[{{"types":"{expected}"}}]"#), "{view}");
    }
    let own = "where session_id = '00000000-0000-4000-8000-000000000001'";
    let events = format!(
        "select event_type, right(participant_id::text, 2) as turn, time_remaining_ms as left, \
                          state_snapshot ->> 'status' as status from v1_events {own} order by \"timestamp\""
    );
    assert_eq!(
        rows(&mut client, &events),
        concat!(
            r#"[{"event_type":"session_created","turn":null,"left":null,"status":"pending"}, "#,
            "\n ",
            r#"{"event_type":"session_updated","turn":"64","left":60000,"status":"running"}, "#,
            "\n ",
            r#"{"event_type":"session_updated","turn":"65","left":60000,"status":"running"}, "#,
            "\n ",
            r#"{"event_type":"session_updated","turn":"65","left":59000,"status":"paused"}, "#,
            "\n ",
            r#"{"event_type":"session_updated","turn":"65","left":59000,"status":"running"}, "#,
            "\n ",
            r#"{"event_type":"session_updated","turn":null,"left":null,"status":"completed"}]"#
        ),
        "whose turn it is afterwards, and what that clock has"
    );
    let sessions = format!("select final_status, completed_at, metadata from v1_sessions {own}");
    assert_eq!(
        rows(&mut client, &sessions),
        r#"[{"final_status":"completed","completed_at":"2025-01-01T00:00:05+00:00","metadata":{"table": 7, "nothing": null}}]"#
    );
    let (mut life, created) = Life::begin(2, 1);
    write(&mut sink, &[created, life.step(&synckairos::engine::Command::Start, 10)]).expect("it is written");
    let running = "select final_status from v1_sessions where session_id = '00000000-0000-4000-8000-000000000002'";
    assert_eq!(rows(&mut client, running), r#"[{"final_status":"running"}]"#, "the present status, not only the last");
}

/// Second writers that rely on version 1's defaults are told, and do no harm.
#[test]
fn who_writes_as_version_1_did_is_refused() {
    let (_database, mut client, _) = upgraded(include_str!("../../fixtures/schema/version_1.sql"));
    let insert = "insert into sync_events (session_id, event_type) values (gen_random_uuid(), 'session_updated')";
    let error = client.execute(insert, &[]).expect_err("it has no place");
    assert_eq!(error.code().map(|code| code.code()), Some("23502"));
}
