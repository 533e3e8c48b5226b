//! Every column of every row, once, the newest whatever the order and the number of writers.

use synckairos::engine::Command;
use synckairos::postgres::PostgresSink;

use super::{migrated, rows, server, write};
use test_support::life::{Life, SWITCH};

const SESSIONS: &str = "select sync_mode, increment_ms, final_status, total_cycles, total_participants, metadata, epoch, \
                        version, deleted_at is not null as is_deleted from audit_sessions order by session_id";
const PARTICIPANTS: &str = "select total_time_ms, total_cycles, total_time_active_ms, added_at, first_active_at, \
                            last_active_at, metadata, epoch, version \
                            from sync_participants order by session_id, participant_id";

#[test]
fn a_life_fills_every_column() {
    let (_database, mut client, mut sink) = migrated();
    client.batch_execute("set timezone = 'UTC'").expect("it fits");
    write(&mut sink, &Life::whole(1, 3)).expect("it is written");
    let session = "select session_id, sync_mode, time_per_cycle_ms, increment_ms, max_time_ms, created_at, started_at, \
                   completed_at, final_status, total_cycles, total_participants, metadata, last_updated_at, epoch, \
                   version, deleted_at from audit_sessions";
    assert_eq!(
        rows(&mut client, session),
        r#"[{"session_id":"00000000-0000-4000-8000-000000000001","sync_mode":"per_participant","time_per_cycle_ms":null,"increment_ms":2000,"max_time_ms":null,"created_at":"2025-01-01T00:00:00+00:00","started_at":"2025-01-01T00:00:01+00:00","completed_at":"2025-01-01T00:00:05+00:00","final_status":"completed","total_cycles":1,"total_participants":2,"metadata":{"table": 7, "nothing": null},"last_updated_at":"2025-01-01T00:00:06+00:00","epoch":3,"version":7,"deleted_at":"2025-01-01T00:00:06+00:00"}]"#
    );
    let switched = "select session_id, event_type, participant_id, group_id, time_remaining_ms, time_elapsed_ms, \
                    cycle_number, \"timestamp\", metadata, epoch, version, state_snapshot ->> 'status' as status \
                    from audit_events where event_type = 'cycle_switched'";
    assert_eq!(
        rows(&mut client, switched),
        r#"[{"session_id":"00000000-0000-4000-8000-000000000001","event_type":"cycle_switched","participant_id":"00000000-0000-4000-8000-000000000064","group_id":null,"time_remaining_ms":61000,"time_elapsed_ms":1000,"cycle_number":1,"timestamp":"2025-01-01T00:00:02+00:00","metadata":{"events": [{"event": "switched", "to_participant_id": "00000000-0000-4000-8000-000000000065", "from_participant_id": "00000000-0000-4000-8000-000000000064"}]},"epoch":3,"version":3,"status":"running"}]"#
    );
    assert_eq!(
        rows(&mut client, PARTICIPANTS),
        concat!(
            r#"[{"total_time_ms":60000,"total_cycles":1,"total_time_active_ms":1000,"added_at":"2025-01-01T00:00:00+00:00","first_active_at":"2025-01-01T00:00:01+00:00","last_active_at":"2025-01-01T00:00:02+00:00","metadata":{"has_expired": false, "participant_index": 0},"epoch":3,"version":7}, "#,
            "\n ",
            r#"{"total_time_ms":60000,"total_cycles":0,"total_time_active_ms":2000,"added_at":"2025-01-01T00:00:00+00:00","first_active_at":"2025-01-01T00:00:02+00:00","last_active_at":"2025-01-01T00:00:05+00:00","metadata":{"has_expired": false, "participant_index": 1},"epoch":3,"version":7}]"#
        )
    );
}

#[test]
fn what_is_written_twice_is_there_once() {
    let (_database, mut client, mut sink) = migrated();
    let jobs = Life::whole(1, 1);
    write(&mut sink, &jobs).expect("it is written");
    let all = "select id, version from sync_events order by id";
    let before = [rows(&mut client, all), rows(&mut client, SESSIONS), rows(&mut client, PARTICIPANTS)];
    write(&mut sink, &jobs).expect("it is written");
    write(&mut sink, &[jobs[2].clone(), jobs[2].clone()]).expect("it is written");
    let after = [rows(&mut client, all), rows(&mut client, SESSIONS), rows(&mut client, PARTICIPANTS)];
    assert_eq!(before, after);
}

/// A life, its end, and another life of the same id, in several orders and sizes of batches.
#[test]
fn the_newest_wins_whatever_the_order() {
    let (_, mut second) = Life::begin(1, 2);
    let mut jobs = Life::whole(1, 1);
    jobs.push(std::mem::take(&mut second));
    let mut seen = Vec::new();
    for (stride, size) in [(1, 1), (1, 8), (3, 1), (3, 2), (5, 3), (7, 1)] {
        let (_database, mut client, mut sink) = migrated();
        let order: Vec<_> =
            (0..jobs.len()).map(|place| jobs[(place * stride + stride - 1) % jobs.len()].clone()).collect();
        for batch in order.chunks(size) {
            write(&mut sink, batch).expect("it is written");
        }
        let count: i64 = client.query_one("select count(*) from sync_events", &[]).expect("a number").get(0);
        assert_eq!(count, 8);
        seen.push((rows(&mut client, SESSIONS), rows(&mut client, PARTICIPANTS)));
    }
    assert!(seen[0].0.contains(r#""version":1,"is_deleted":false"#), "the second life is alive: {}", seen[0].0);
    assert!(seen.iter().all(|it| *it == seen[0]), "{seen:#?}");
}

#[test]
fn writers_that_meet_do_not_stop_each_other() {
    let (database, mut client, _) = migrated();
    let mut batches: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut lives: Vec<_> = (0..20).map(|n| Life::begin(n, 1).0).collect();
    for life in &mut lives {
        life.step(&Command::Start, 1_000);
    }
    for second in 2..42 {
        let mut batch: Vec<_> = lives.iter_mut().map(|life| life.step(&SWITCH, second * 1_000)).collect();
        if second % 2 == 0 {
            batch.reverse();
        }
        batches.push(batch);
    }
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (database, batches) = (&database, &batches);
            scope.spawn(move || {
                let mut sink = PostgresSink::new(server(&database.url()));
                // Each batch is written by two.
                for batch in batches.iter().skip(writer / 2).step_by(4) {
                    write(&mut sink, batch).expect("nobody is in the way");
                }
            });
        }
    });
    let sql = "select count(*), min(version), max(version) from sync_sessions";
    assert_eq!(rows(&mut client, sql), r#"[{"count":20,"min":42,"max":42}]"#);
    assert_eq!(rows(&mut client, "select count(*) from sync_events"), r#"[{"count":800}]"#);
    let sql = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(rows(&mut client, sql), r#"[{"deadlocks":0}]"#);
}
