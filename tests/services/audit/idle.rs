//! Idle connections of writers are closed, in a real PostgreSQL.

use std::time::Duration;

use synckairos::audit::Sinks;
use synckairos::postgres::PostgresSink;

use crate::postgres::{migrated, server};
use test_support::life::Life;
use test_support::redis::Redis;
use test_support::wait;

use super::queue::start_with;

/// So many wait for a table that somebody holds, each with a connection; afterwards two are enough, and these stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_closed_beyond_two() {
    const WRITERS: usize = 6;
    const REST: Duration = Duration::from_millis(200);
    let redis = Redis::start();
    // What is delayed is written each job by itself.
    let mut delayed = redis::cmd("ZADD");
    delayed.arg("db-writes:delayed");
    for n in 1..=WRITERS as u64 {
        let (_, job) = Life::begin(n, 1);
        delayed.arg(0).arg([b"0 1 ", job.as_slice()].concat());
    }
    delayed.exec(&mut redis.connect()).expect("it answers");
    tokio::task::spawn_blocking(move || {
        let (database, mut client, _sink) = migrated();
        let mut holder = database.connect();
        holder.batch_execute("begin; lock table sync_events in access exclusive mode").expect("nobody else has it");
        let database = server(&database.url());
        let sinks = Sinks::new(WRITERS, || Box::new(PostgresSink::new(database.clone()))).with_idle_timeout(REST);
        let runtime = tokio::runtime::Handle::current();
        let running = {
            let _entered = runtime.enter();
            start_with(&redis, sinks)
        };
        let writers = "select count(*), coalesce(min(extract(epoch from now() - state_change)), 0)::float8 \
                       from pg_stat_activity where datname = current_database() and application_name = 'synckairos'";
        // How many there are, and for how long all of them have done nothing.
        let mut ask = || -> (i64, f64) {
            let row = client.query_one(writers, &[]).expect("the query is right");
            (row.get(0), row.get(1))
        };
        wait::blocking("all are busy", || ask().0 == WRITERS as i64);
        holder.batch_execute("rollback").expect("it held it");
        wait::blocking("two are left", || ask().0 == 2);
        wait::blocking("and stay, whatever they have to do", || {
            let (count, idle_s) = ask();
            assert_eq!(count, 2);
            idle_s > 5.0 * REST.as_secs_f64()
        });
        let written: i64 = client.query_one("select count(*) from sync_events", &[]).expect("it answers").get(0);
        assert_eq!(written, WRITERS as i64, "all is written");
        runtime.block_on(running.stop());
    })
    .await
    .expect("it ends well");
}
