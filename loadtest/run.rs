//! A run: the servers take turns under the same load, so that a machine that drifts drifts for all of
//! them, and what counts is each one's ratio to the floor.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::Client;
use crate::servers::Server;
use crate::work::{self, Errands, Work};

/// What to do.
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) sessions: usize,
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
}

/// What one kind of work came to, a value for each round.
#[derive(Default)]
struct Row {
    rates: Vec<f64>,
    cpu_s: Vec<f64>,
    latencies: Vec<Duration>,
}

/// Measures all work in turns and prints a table.
pub(crate) fn compare(plan: &Plan) -> io::Result<()> {
    let (bare, server) = (Server::bare()?, Server::synckairos()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ids = runtime.block_on(work::sessions(server.address, plan.sessions))?;
    let mut rows: Vec<Row> = Work::ALL.iter().map(|_| Row::default()).collect();
    for round in 0..=plan.rounds {
        for (work, row) in Work::ALL.into_iter().zip(&mut rows) {
            let target = if work == Work::Bare { &bare } else { &server };
            let before = target.cpu_s()?;
            let (took, latencies) = runtime.block_on(slice(target.address, work, &ids, plan))?;
            // The first round warms up.
            if round > 0 {
                row.rates.push(latencies.len() as f64 / took.as_secs_f64());
                row.cpu_s.push((target.cpu_s()? - before) / latencies.len() as f64 * 1_000.0);
                row.latencies.extend(latencies);
            }
        }
    }
    print(plan, &mut rows, server.memory()?);
    Ok(())
}

/// One turn of one server.
async fn slice(address: SocketAddr, work: Work, ids: &[String], plan: &Plan) -> io::Result<(Duration, Vec<Duration>)> {
    let mut clients = JoinSet::new();
    let start = Instant::now();
    let end = start + plan.slice;
    for place in 0..plan.connections {
        let mut errands = Errands::share(work, ids, place, plan.connections);
        clients.spawn(async move {
            let mut client = Client::open(address).await?;
            let mut latencies = Vec::new();
            let mut last = Instant::now();
            while last < end {
                errands.run(&mut client).await?;
                let now = Instant::now();
                latencies.push(now - last);
                last = now;
            }
            io::Result::Ok(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = clients.join_next().await {
        all.extend(done.map_err(io::Error::other)??);
    }
    Ok((start.elapsed(), all))
}

fn print(plan: &Plan, rows: &mut [Row], memory: u64) {
    let Plan { connections, sessions, rounds, slice } = plan;
    println!("{connections} connections, {sessions} sessions, {rounds} rounds of {slice:?} each, in turns\n");
    println!(
        "| work | requests/s | ratio to the floor: median (least to most) | p50 ms | p99 ms | server CPU s per 1,000 |"
    );
    println!("|---|---|---|---|---|---|");
    let floor = rows[0].rates.clone();
    for (work, row) in Work::ALL.into_iter().zip(rows) {
        let mut ratios: Vec<_> = row.rates.iter().zip(&floor).map(|(rate, floor)| rate / floor).collect();
        row.latencies.sort_unstable();
        let percentile = |share: f64| {
            let place = (row.latencies.len() as f64 * share) as usize;
            row.latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
        };
        println!(
            "| {} | {:.0} | {:.2} ({:.2} to {:.2}) | {:.3} | {:.3} | {:.4} |",
            work.name(),
            median(&mut row.rates.clone()),
            median(&mut ratios),
            ratios.first().copied().unwrap_or_default(),
            ratios.last().copied().unwrap_or_default(),
            percentile(0.50),
            percentile(0.99),
            median(&mut row.cpu_s.clone()),
        );
    }
    println!("\nserver memory afterwards: {:.1} MB", memory as f64 / 1e6);
}

/// Sorts, then takes the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
