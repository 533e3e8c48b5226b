//! Metadata is stored byte for byte: order, spelling of numbers and escapes.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use synckairos::engine::{Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, SessionId};
use synckairos::postgres::{PostgresArchive, PostgresSink};
use synckairos::store::{Archive, PageLimit};
use synckairos::supervision::Supervisor;
use synckairos::wire;

use super::archive::state_of;
use super::{migrated, rows, server, write};
use synckairos::audit::WriteError;
use test_support::life::{Life, uuid};

/// JSON as people and programs write it.
fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?",
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,5})?[eE][+-]?[0-9]{1,2}",
        Just("1e-308".to_owned()),
        Just("-0.0".to_owned()),
        Just("1.50E+300".to_owned()),
    ];
    let string = prop_oneof![
        "\"[a-zA-Z0-9 é日😀<>&'/]{0,12}\"",
        Just(r#""é\"\\\/\b\f\n\r\t""#.to_owned()),
        Just(r#""\u00e9\uD83D\uDE00\u007f""#.to_owned()),
        // What looks like the character that PostgreSQL has no place for, and which nobody may give.
        Just(r#""\\u0000\\ud800\u0001""#.to_owned()),
    ];
    let leaf = prop_oneof![number, string, Just("null".to_owned()), Just("true".to_owned()), Just("false".to_owned())];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| format!("[{}]", list.join(","))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = "[a-z_é]{0,6}";
    prop::collection::vec((name, value), 0..5).prop_map(|members| {
        let members = members.iter().enumerate().map(|(place, (name, value))| format!(r#""{name}{place}":{value}"#));
        // In an order that no parser would choose.
        format!("{{{}}}", members.rev().collect::<Vec<_>>().join(","))
    })
}

fn session(n: u64, metadata: &str) -> NewSession {
    NewSession {
        id: SessionId(uuid(n)),
        mode: Mode::PerParticipant,
        on_timeout: OnTimeout::Expire,
        participants: vec![NewParticipant {
            id: ParticipantId(uuid(n * 100)),
            index: 0,
            total_time: Millis::new(60_000),
            group: None,
        }],
        groups: Vec::new(),
        total_time: Millis::new(60_000),
        time_per_cycle: None,
        increment: Millis::new(0),
        max_time: None,
        warn_at: [].into(),
        metadata: Some(metadata.into()),
        controls: None,
    }
}

#[test]
fn a_state_comes_back_byte_for_byte() {
    let (database, mut client, mut sink) = migrated();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let archive = PostgresArchive::start(server(&database.url()), &Supervisor::default()).expect("there are threads");
    let mut runner = TestRunner::deterministic();
    for n in 1..=200 {
        let metadata = object(json()).new_tree(&mut runner).expect("there is one").current();
        let (_, job) = Life::of(&session(n, &metadata), 1, n);
        write(&mut sink, std::slice::from_ref(&job)).expect("it is written");
        let id = SessionId(uuid(n));
        let found = runtime.block_on(archive.newest(id)).expect("it answers").expect("it is there");
        assert_eq!(&found.state[..], &state_of(&job)[..]);
        let session = wire::decode(&found.state).expect("it can be read");
        assert_eq!(session.metadata.as_deref(), Some(&*metadata));
        let again = wire::encode(&session, found.at).body();
        assert_eq!([b"{", &again[..]].concat(), found.state.to_vec(), "what is brought back is what was");
        let room = PageLimit { changes: 1, bytes: usize::MAX };
        let page = runtime.block_on(archive.changes(id, None, room)).expect("it answers");
        assert_eq!(&page.changes[0].job[..], &job[..]);
        let shown = rows(&mut client, &format!("select metadata::text from audit_sessions where session_id = '{id}'"));
        assert!(!shown.is_empty(), "people read it as jsonb");
    }
}

/// A number that takes a few bytes to write takes no more to keep.
#[test]
fn small_numbers_are_not_written_out() {
    let (_database, mut client, mut sink) = migrated();
    let metadata = format!(r#"{{"a":[{}]}}"#, vec!["1e-308"; 500].join(","));
    let (_, job) = Life::of(&session(1, &metadata), 1, 1);
    write(&mut sink, &[job]).expect("it is written");
    let size = "select octet_length(state_json::text) < 6000 as state, octet_length(s.metadata_json::text) < 4000 as session \
                from sync_events join sync_sessions s using (session_id)";
    assert_eq!(rows(&mut client, size), r#"[{"state":true,"session":true}]"#);
}

/// Two changes that claim one place: the first stays, and the second is neither written nor forgotten.
#[test]
fn a_place_is_taken_once() {
    let (_database, mut client, mut sink) = migrated();
    let job = Life::begin(1, 1).1;
    let text = String::from_utf8(job.clone()).expect("JSON is text");
    let (_, rest) = text.split_once(r#","session_id""#).expect("a job begins with its event");
    let other = format!(r#"{{"event_id":"00000000-0000-7000-8000-00000000beef","session_id"{rest}"#).into_bytes();
    let error = write(&mut sink, &[job.clone(), other.clone()]).expect_err("one place");
    assert!(matches!(error, WriteError::BadJob(_)), "together they are told apart: {error:?}");
    write(&mut sink, std::slice::from_ref(&job)).expect("the first");
    let error = write(&mut sink, std::slice::from_ref(&other)).expect_err("the second");
    let WriteError::Constraint(why) = error else { panic!("{error:?}") };
    assert!(why.contains("00000000-0000-7000-8000-00000000beef") && why.contains("is taken by"), "{why}");
    write(&mut sink, &[job.clone(), job]).expect("the first is the first, however often");
    assert_eq!(rows(&mut client, "select count(*) from sync_events"), r#"[{"count":1}]"#);
    let sink_lives = Life::whole(2, 1);
    write(&mut sink, &sink_lives).expect("the connection is as good as before");
}

/// Writers that meet in a circle are sorted out at once: the database is not away.
#[test]
fn a_deadlock_is_tried_again_at_once() {
    let (database, mut client, mut sink) = migrated();
    let (mut life, created) = Life::begin(1, 1);
    let (mut other, first) = Life::begin(2, 1);
    write(&mut sink, &[created, first]).expect("it is written");
    let jobs = [life.step(&synckairos::engine::Command::Start, 1), other.step(&synckairos::engine::Command::Start, 1)];
    // Somebody holds the second session and then wants the first, while the writer goes the other way.
    let mut holder = database.connect();
    holder.batch_execute("set deadlock_timeout = '10min'").expect("it fits");
    let mut held = holder.transaction().expect("it begins");
    let lock = |n: u64| format!("select 1 from sync_sessions where session_id = '{}' for update", uuid(n));
    held.batch_execute(&lock(2)).expect("it is held");
    let writer = std::thread::spawn(move || {
        // It looks for a circle when there is one.
        let url = format!("{}?options=-c%20deadlock_timeout%3D3s", database.url());
        let mut sink = PostgresSink::new(server(&url));
        (write(&mut sink, &jobs), database)
    });
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    while client.query_one(waits, &[]).expect("it answers").get::<_, i64>(0) == 0 {
        std::thread::yield_now();
    }
    held.batch_execute(&lock(1)).expect("the writer is the one that gives way");
    held.commit().expect("it ends");
    let (written, _database) = writer.join().expect("no panic");
    written.expect("at the second try");
}
