//! A batch of audit jobs is written into a real PostgreSQL that waits for its disk: one transaction on one connection.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synckairos::audit::Sink;
use synckairos::engine::Command;
use synckairos::postgres::{PostgresServer, PostgresSink, migrate_server};
use test_support::life::{Life, SWITCH};
use test_support::postgres::Postgres;

const SESSIONS: u64 = 1_000;
/// Jobs in a batch.
const SIZES: [usize; 3] = [1, 128, 2_048];

fn write(criterion: &mut Criterion) {
    let postgres = Postgres::start_with(&["max_wal_size=4GB"], &[]);
    let server = PostgresServer::parse(&postgres.url("postgres")).expect("a URL");
    migrate_server(&server).expect("the database is empty");
    let mut sink = PostgresSink::new(server);
    let mut audited = AuditRow::begin(&mut sink);
    let mut group = criterion.benchmark_group("audit");
    for size in SIZES {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("write", size), |bencher| {
            bencher.iter_batched(
                || audited.switches(size),
                |jobs| sink.write(&jobs.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("it is written"),
                BatchSize::PerIteration,
            );
        });
    }
}

/// Sessions that are switched in turn, a minute's worth of clock for each.
struct AuditRow {
    lives: Vec<Life>,
    switched: u64,
}

impl AuditRow {
    fn begin(sink: &mut PostgresSink) -> Self {
        let mut lives = Vec::new();
        for n in 1..=SESSIONS {
            let (mut life, created) = Life::begin(n, n);
            sink.write(&[&created, &life.step(&Command::Start, 0)]).expect("it is written");
            lives.push(life);
        }
        Self { lives, switched: 0 }
    }

    fn switches(&mut self, count: usize) -> Vec<Vec<u8>> {
        let switch = |_| {
            let (place, round) = (self.switched % SESSIONS, self.switched / SESSIONS);
            self.switched += 1;
            self.lives[place as usize].step(&SWITCH, round * 10)
        };
        (0..count).map(switch).collect()
    }
}

criterion_group!(benches, write);
criterion_main!(benches);
