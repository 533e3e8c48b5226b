//! A soak test: all commands at once, for long, while the scenario looks whether throughput holds and memory grows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::generator::failure::{Failure, Result};
use crate::generator::pace::Pace;
use crate::generator::sample::SharedSample;
use crate::generator::scan;
use crate::generator::socket::{self, Socket};
use crate::generator::worker_pool::WorkerPool;
use crate::interleave::{Benchmark, Load, SliceFuture, interleave};
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::report::{Heading, Merit, Series};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;
use crate::servers::target::Target;
use test_support::dice::Dice;

use super::players::{Player, SharedSessions};

const CONNECTIONS: usize = 64;
/// How often memory is sampled.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a client watches a session at most.
const VISIT: Duration = Duration::from_secs(1);
/// By how much memory may grow from the middle third of a run to the last.
const GROWTH_MAX: f64 = 0.05;
const GROWTH_MAX_BYTES: f64 = 4e6;
/// The least number of samples of memory for a verdict.
const LOOKS_MIN: usize = 12;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed",
    about: "Everything that can be done to sessions, for a minute, and whether memory grows",
    details: "\
Sessions are created, started, switched, read, paused, resumed, patched, completed, cancelled, deleted, looked for when they are gone, and \
replaced, at a fixed rate (open loop), while clients come, watch somebody's session for a second, and go. Every response is read in full \
and compared with what must have come of all that was done to its session. There are always equally many sessions, so that the memory \
of the server should not grow: more than 5 % and 4 MB from the middle third of the run to the last third is a failure. A slow leak \
needs a long run: --duration 3600.",
    parameters: &[
        Parameter::Sessions("2000"),
        Parameter::Clients("100"),
        Parameter::Rate("2000"),
        Parameter::DurationS("60"),
        Parameter::SliceMs("5000"),
    ],
    // What was deleted is remembered for a while: not so long that it looks like a leak.
    needs: Needs { instances: 1, backend: Backend::Memory, settings: &[("TOMBSTONE_TTL_S", "2")], has_baseline: false },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let rate = run.options.rate.expect("it has a default");
    let mut benchmarks: Vec<Box<dyn Benchmark>> = Vec::new();
    let mut seen = Vec::new();
    for target in run.targets() {
        let (players, shared) = Player::boxed(&run.factory.session_ids, CONNECTIONS, run.options.sessions);
        let pool = WorkerPool::new(&target.addresses, players);
        let memory = Arc::new(Mutex::new(Vec::new()));
        seen.push((target.name.clone(), Arc::clone(&memory), Arc::clone(&shared)));
        let (visitors, begun) = (run.options.clients, Instant::now());
        benchmarks.push(Box::new(Mixed { target, pool, shared, visitors, rate, memory, begun }));
    }
    interleave(run, benchmarks).await?;
    let mut leaks = Vec::new();
    for (name, memory, shared) in seen {
        let sent_away = shared.sent_away.load(Ordering::Relaxed);
        if sent_away > 0 {
            run.report.figure(format!("{name}: visitors who were told to come back later"), sent_away as f64, "visits");
        }
        let points = std::mem::take(&mut *memory.lock());
        if let Some((middle, last)) = thirds(&points) {
            run.report.figure(format!("{name}: memory in the middle third"), middle / 1e6, "MB");
            run.report.figure(format!("{name}: memory in the last third"), last / 1e6, "MB");
            if last - middle > GROWTH_MAX_BYTES.max(middle * GROWTH_MAX) {
                leaks.push(format!("{name}: memory grows from {middle:.0} to {last:.0} bytes"));
            }
        } else {
            run.report.note(format!("{name}: its memory is not known for long enough to tell whether it grows."));
        }
        let points = points.into_iter().map(|(at, bytes)| (at, bytes / 1e6)).collect();
        run.report.series.push(Series { name: format!("Memory, {name}"), unit: "MB", points });
    }
    if leaks.is_empty() { Ok(()) } else { Err(Failure::Wrong(leaks.join("; "))) }
}

/// The medians of the middle and the last third.
fn thirds(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    if points.len() < LOOKS_MIN {
        return None;
    }
    let median = |points: &[(f64, f64)]| {
        let mut values: Vec<_> = points.iter().map(|(_, value)| *value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let third = points.len() / 3;
    Some((median(&points[third..2 * third]), median(&points[2 * third..])))
}

/// Runs players, and visitors who watch.
struct Mixed {
    target: Arc<Target>,
    pool: WorkerPool,
    shared: Arc<SharedSessions>,
    visitors: usize,
    rate: f64,
    memory: Arc<Mutex<Vec<(f64, f64)>>>,
    begun: Instant,
}

impl Benchmark for Mixed {
    fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn headings(&self) -> Vec<Heading> {
        let load = Load::new(Some(self.rate)).name(self.pool.connections());
        vec![Heading { work: "everything".to_owned(), load, merit: Merit::Latency, has_cost: true }]
    }

    fn run_slice<'t>(&'t mut self, slice: Duration, samples: &'t [SharedSample]) -> SliceFuture<'t> {
        Box::pin(async move {
            let mut visitors = JoinSet::new();
            for index in 0..self.visitors {
                visitors.spawn(visit(Arc::clone(&self.target), Arc::clone(&self.shared), Dice(index as u64)));
            }
            let look = async {
                loop {
                    if let Some(bytes) = self.target.memory() {
                        self.memory.lock().push((self.begun.elapsed().as_secs_f64(), bytes as f64));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            };
            let done = self.shared.changes.load(Ordering::Relaxed);
            tokio::select! {
                worked = self.pool.work(Pace::Open(self.rate, slice), &samples[0]) => worked?,
                Some(ended) = visitors.join_next() => return Err(ended.expect("a visitor does not panic")),
                () = look => {}
            }
            self.target.add_changes(self.shared.changes.load(Ordering::Relaxed) - done);
            Ok(())
        })
    }
}

/// Watches one session after the other until a message is wrong.
async fn visit(target: Arc<Target>, shared: Arc<SharedSessions>, mut dice: Dice) -> Failure {
    loop {
        let chance = dice.below(1 << 20) as usize;
        let id = shared.id(chance);
        let address = target.addresses[chance % target.addresses.len()];
        // Most stay as long as they like; some go early.
        let visit = tokio::time::timeout(VISIT, stay(address, &id, 1 + chance % 8)).await;
        match visit {
            // What Redis does not have is looked for in the archive, at a limited rate for each client.
            Ok(Err(Failure::Broken(error))) if error.kind() == io::ErrorKind::ResourceBusy => {
                shared.sent_away.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(failure)) => return failure,
            Ok(Ok(())) | Err(_) => {}
        }
    }
}

/// Watches until a number of messages have come, or the session is gone.
async fn stay(address: SocketAddr, id: &str, messages: usize) -> Result<()> {
    let mut socket = Socket::open(address, id).await?;
    let mut last = 0;
    for _ in 0..messages {
        let Some(message) = socket.message_or_end().await? else { return Ok(()) };
        let version = scan::after(message, b"\"version\":").and_then(scan::number);
        let is_right = socket::session(message) == Some(id)
            && match (socket::kind(message), version) {
                (Some("STATE_SYNC" | "STATE_UPDATE"), Some(version)) => version > std::mem::replace(&mut last, version),
                (Some("SESSION_DELETED"), None) => true,
                _ => false,
            };
        if !is_right {
            return Err(Failure::wrong(format_args!("a message to a client of {id} after version {last}"), message));
        }
    }
    Ok(())
}
