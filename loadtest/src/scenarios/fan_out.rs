//! Fan-out: sessions are watched while they are switched, and latencies count until clients have the update. Several scenarios
//! differ in numbers of sessions and clients only.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::generator::failure::{Failure, Result};
use crate::generator::pace::Pace;
use crate::generator::sample::SharedSample;
use crate::generator::socket::Socket;
use crate::generator::switches::Switch;
use crate::generator::watchers::{UpdateTracker, watch};
use crate::generator::worker_pool::WorkerPool;
use crate::interleave::{Benchmark, SliceFuture, counted, interleave};
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::report::{Heading, Merit};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;
use crate::servers::target::Target;

/// Connections over which switches are sent.
const WRITERS: usize = 64;
const NEEDS: Needs = Needs { instances: 1, backend: Backend::Memory, settings: &[], has_baseline: false };
const DETAILS: &str = "\
Switches are sent at a fixed rate (open loop), each session in turn, and latencies count from when a switch was to be sent: until \
it is answered, until a client that watches has the new state, and until all clients of the session have it. All clients must be \
shown the same states, byte for byte, each newer than the last, and the newest must reach everybody. With several instances \
switches go to the first, and clients watch at the others. Memory is told with nothing but the sessions, and with their clients.";

pub(super) const SESSIONS_1000: Scenario = Scenario {
    name: "sessions-1000",
    about: "1,000 sessions, each watched by a client and switched once a second",
    details: DETAILS,
    parameters: &[
        Parameter::Sessions("1000"),
        Parameter::Clients("1"),
        Parameter::Rate("1000"),
        Parameter::DurationS("10"),
        Parameter::SliceMs("2000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

pub(super) const SESSIONS_10000: Scenario = Scenario {
    name: "sessions-10000",
    about: "10,000 sessions, each watched by a client and switched every five seconds",
    details: DETAILS,
    parameters: &[
        Parameter::Sessions("10000"),
        Parameter::Clients("1"),
        Parameter::Rate("2000"),
        Parameter::DurationS("10"),
        Parameter::SliceMs("5000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

pub(super) const FAN_OUT: Scenario = Scenario {
    name: "fan-out",
    about: "One session that 1,000 clients watch, switched 20 times a second",
    details: DETAILS,
    parameters: &[
        Parameter::Sessions("1"),
        Parameter::Clients("1000"),
        Parameter::Rate("20"),
        Parameter::DurationS("10"),
        Parameter::SliceMs("2000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

pub(super) const FAN_OUT_5000: Scenario = Scenario {
    name: "fan-out-5000",
    about: "5,000 sessions that two clients each watch, switched every five seconds",
    details: DETAILS,
    parameters: &[
        Parameter::Sessions("5000"),
        Parameter::Clients("2"),
        Parameter::Rate("1000"),
        Parameter::DurationS("10"),
        Parameter::SliceMs("5000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let (count, clients) = (run.options.sessions, run.options.clients);
    let rate = run.options.rate.expect("it has a default");
    run.expect_files(run.targets().len() * (count * clients + WRITERS))?;
    let mut benchmarks: Vec<Box<dyn Benchmark>> = Vec::new();
    for target in run.targets() {
        let sessions = run.factory.sessions(&target, count).await?;
        run.memory_figure(&target, &format!("memory with {} at rest", counted(count, "session")));
        let tracker = UpdateTracker::new(&sessions, clients);
        let writers = WRITERS.min(count);
        let shares = sessions.shares(writers);
        let workloads = shares.iter().map(|indexes| Switch::boxed(&sessions, indexes, Some(&tracker)));
        let pool = WorkerPool::new(&[target.first()], workloads);
        let mut watchers = JoinSet::new();
        run.progress.set_phase(format!("opening {} WebSockets {}", count * clients, target.name), None);
        let elsewhere = &target.addresses[usize::from(target.addresses.len() > 1)..];
        for n in 0..count * clients {
            let index = n / clients;
            let socket = Socket::open(elsewhere[n % elsewhere.len()], &sessions.id(index)).await?;
            watchers.spawn(watch(socket, Arc::clone(&sessions), Arc::clone(&tracker), index));
        }
        run.memory_figure(&target, &format!("memory with {} clients too", count * clients));
        benchmarks.push(Box::new(Watched { target, pool, tracker, watchers, count, clients, rate, skipped: 0 }));
    }
    interleave(run, benchmarks).await
}

/// Switches sessions while clients watch them.
struct Watched {
    target: Arc<Target>,
    pool: WorkerPool,
    tracker: Arc<UpdateTracker>,
    watchers: JoinSet<Failure>,
    count: usize,
    clients: usize,
    rate: f64,
    skipped: u64,
}

impl Benchmark for Watched {
    fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn headings(&self) -> Vec<Heading> {
        let Self { count, clients, rate, .. } = self;
        let load = format!("{rate}/s, {}, {} each", counted(*count, "session"), counted(*clients, "client"));
        let heading = |work: &str, has_cost| {
            let (work, load) = (work.to_owned(), load.clone());
            Heading { work, load, merit: Merit::Latency, has_cost }
        };
        // The cost is shown for 1,000 switches, however many clients see them.
        vec![
            heading("switch answered", true),
            heading("seen by a client", false),
            heading("seen by all clients of a session", false),
        ]
    }

    fn run_slice<'t>(&'t mut self, slice: Duration, samples: &'t [SharedSample]) -> SliceFuture<'t> {
        Box::pin(async move {
            self.tracker.begin([Arc::clone(&samples[1]), Arc::clone(&samples[2])]);
            let work = async {
                self.pool.work(Pace::Open(self.rate, slice), &samples[0]).await?;
                self.target.add_changes(samples[0].lock().done());
                self.tracker.wait_until_seen().await
            };
            tokio::select! {
                skipped = work => self.skipped += skipped?,
                Some(ended) = self.watchers.join_next() => return Err(ended.expect("a client does not panic")),
            }
            Ok(())
        })
    }
}
