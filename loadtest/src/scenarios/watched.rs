//! Sessions that are watched while they are switched: how long a change takes to those who watch. Fan-out and numbers of
//! sessions are the same with other numbers.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::generator::drive::Crew;
use crate::generator::failure::{Failure, Result};
use crate::generator::pace::Pace;
use crate::generator::sample::Shared;
use crate::generator::socket::Socket;
use crate::generator::switches::Switch;
use crate::generator::watch::{Topics, watch};
use crate::options::{Backend, Knob};
use crate::report::{Heading, Merit};
use crate::run::Run;
use crate::servers::Needs;
use crate::servers::target::Target;
use crate::turns::{Lane, Turn, counted, in_turns};

use super::Scenario;

/// Connections over which switches are sent.
const WRITERS: usize = 64;
const NEEDS: Needs = Needs { instances: 1, backend: Backend::Memory, settings: &[], has_floor: false };
const DETAILS: &str = "\
Switches are sent at a fixed rate (open loop), each session in turn, and latencies count from when a switch was to be sent: until \
it is answered, until a client that watches has the new state, and until all clients of the session have it. All clients must be \
shown the same states, byte for byte, each newer than the last, and the newest must reach everybody. With several instances \
switches go to the first, and clients watch at the others. Memory is told with nothing but the sessions, and with their clients.";

pub(super) const SESSIONS_1000: Scenario = Scenario {
    name: "sessions-1000",
    about: "1,000 sessions, each watched by a client and switched once a second",
    details: DETAILS,
    knobs: &[
        Knob::Sessions("1000"),
        Knob::Clients("1"),
        Knob::Rate("1000"),
        Knob::DurationS("10"),
        Knob::SliceMs("2000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

pub(super) const SESSIONS_10000: Scenario = Scenario {
    name: "sessions-10000",
    about: "10,000 sessions, each watched by a client and switched every five seconds",
    details: DETAILS,
    knobs: &[
        Knob::Sessions("10000"),
        Knob::Clients("1"),
        Knob::Rate("2000"),
        Knob::DurationS("10"),
        Knob::SliceMs("5000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

pub(super) const FAN_OUT: Scenario = Scenario {
    name: "fan-out",
    about: "One session that 1,000 clients watch, switched 20 times a second",
    details: DETAILS,
    knobs: &[
        Knob::Sessions("1"),
        Knob::Clients("1000"),
        Knob::Rate("20"),
        Knob::DurationS("10"),
        Knob::SliceMs("2000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

pub(super) const FAN_OUT_5000: Scenario = Scenario {
    name: "fan-out-5000",
    about: "5,000 sessions that two clients each watch, switched every five seconds",
    details: DETAILS,
    knobs: &[
        Knob::Sessions("5000"),
        Knob::Clients("2"),
        Knob::Rate("1000"),
        Knob::DurationS("10"),
        Knob::SliceMs("5000"),
    ],
    needs: NEEDS,
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let (count, clients) = (run.options.sessions, run.options.clients);
    let rate = run.options.rate.expect("it has a default");
    run.expect_files(run.targets().len() * (count * clients + WRITERS))?;
    let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
    for target in run.targets() {
        let sessions = run.maker.sessions(&target, count).await?;
        run.memory_figure(&target, &format!("memory with {} at rest", counted(count, "session")));
        let topics = Topics::new(&sessions, clients);
        let writers = WRITERS.min(count);
        let shares = sessions.shares(writers);
        let errands = shares.iter().map(|places| Switch::boxed(&sessions, places, Some(&topics)));
        let crew = Crew::new(&[target.first()], errands);
        let mut watchers = JoinSet::new();
        run.progress.doing(format!("opening {} WebSockets {}", count * clients, target.name), None);
        let elsewhere = &target.addresses[usize::from(target.addresses.len() > 1)..];
        for n in 0..count * clients {
            let place = n / clients;
            let socket = Socket::open(elsewhere[n % elsewhere.len()], &sessions.id(place)).await?;
            watchers.spawn(watch(socket, Arc::clone(&sessions), Arc::clone(&topics), place));
        }
        run.memory_figure(&target, &format!("memory with {} clients too", count * clients));
        lanes.push(Box::new(Watched { target, crew, topics, watchers, count, clients, rate, skipped: 0 }));
    }
    in_turns(run, lanes).await
}

/// Switches, and those who watch.
struct Watched {
    target: Arc<Target>,
    crew: Crew,
    topics: Arc<Topics>,
    watchers: JoinSet<Failure>,
    count: usize,
    clients: usize,
    rate: f64,
    skipped: u64,
}

impl Lane for Watched {
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
        // What it costs is told for 1,000 switches, whoever sees them.
        vec![
            heading("switch answered", true),
            heading("seen by a client", false),
            heading("seen by all clients of a session", false),
        ]
    }

    fn turn<'t>(&'t mut self, slice: Duration, samples: &'t [Shared]) -> Turn<'t> {
        Box::pin(async move {
            self.topics.begin([Arc::clone(&samples[1]), Arc::clone(&samples[2])]);
            let work = async {
                self.crew.work(Pace::Open(self.rate, slice), &samples[0]).await?;
                self.target.made(samples[0].lock().done());
                self.topics.seen().await
            };
            tokio::select! {
                skipped = work => self.skipped += skipped?,
                Some(ended) = self.watchers.join_next() => return Err(ended.expect("a client does not panic")),
            }
            Ok(())
        })
    }
}
