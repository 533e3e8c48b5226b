//! Ten connections that write the same sessions: every job has its row. With SYNCKAIROS_TEST_JOBS=100000, a release build
//! and `--nocapture` it tells how many a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use synckairos::engine::Command;
use synckairos::postgres::{PostgresSink, migrate_server};

use test_support::dice::scale;
use test_support::postgres::Postgres;

use super::{server, write};
use test_support::life::{Life, SWITCH};

#[test]
fn ten_connections_write_every_job_once() {
    let least = scale("SYNCKAIROS_TEST_JOBS", 2_000) as usize;

    let postgres = Postgres::start_with(&["max_wal_size=4GB"], &[]);
    migrate_server(&server(&postgres.url("postgres"))).expect("the database is empty");
    for (connections, size, sessions) in [(10, 64, 1_000), (10, 128, 1_000), (10, 128, 10_000), (10, 128, 50)] {
        postgres.connect("postgres").batch_execute("truncate sync_events").expect("it answers");
        let mut lives: Vec<_> =
            (0..sessions).map(|n| Life::begin(n + 1, connections * 100_000 + sessions + size)).collect();
        let mut jobs: Vec<_> = lives.iter_mut().map(|(_, created)| std::mem::take(created)).collect();
        jobs.extend(lives.iter_mut().map(|(life, _)| life.step(&Command::Start, 1_000)));
        let mut second = 2;
        while jobs.len() < least {
            jobs.extend(lives.iter_mut().map(|(life, _)| life.step(&SWITCH, 1_000 + second * 10)));
            second += 1;
        }
        let bytes = jobs.iter().map(Vec::len).sum::<usize>() / jobs.len();
        let batches: Vec<_> = jobs.chunks(size as usize).collect();
        let next = AtomicUsize::new(0);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut sink = PostgresSink::new(server(&postgres.url("postgres")));
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                        write(&mut sink, batch).expect("it is written");
                    }
                });
            }
        });
        let took = start.elapsed();
        let rows = postgres.connect("postgres").query_one("select count(*) from sync_events", &[]).expect("it answers");
        assert_eq!(rows.get::<_, i64>(0), jobs.len() as i64);
        let rate = jobs.len() as f64 / took.as_secs_f64();
        println!(
            "{connections} connections, batches of {size} jobs of {bytes} bytes, {sessions} sessions: {rate:.0} jobs/s"
        );
    }
}
