//! Clocks that run out by themselves: every watching client learns of it once, never early, and the scenario measures how late.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::generator::failure::{Failure, Result};
use crate::generator::http::{self, request};
use crate::generator::sample::SharedSample;
use crate::generator::scan;
use crate::generator::sessions::{CREATED, PLAYERS, STARTED};
use crate::generator::socket::Socket;
use crate::generator::workload::SetupStep;
use crate::interleave::{Benchmark, SliceFuture, interleave_rounds};
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::report::{Heading, Merit};
use crate::run::{Run, SessionFactory};
use crate::scenario::Scenario;
use crate::servers::Needs;
use crate::servers::target::Target;
use test_support::instant;

/// How long after its deadline a client waits for the message.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long clients listen on when all clocks have run out: nothing may come twice.
const ENCORE: Duration = Duration::from_millis(500);
/// How long starting a session may take, in us, so that all clocks run before the first one runs out.
const START_US: u64 = 500;
/// How often the server is asked for its time.
const TIME_ASKED: usize = 300;
/// The version in which a session has expired: created, started, expired.
const EXPIRED: u64 = 3;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "deadlines",
    about: "10,000 clocks that run out within ten seconds, each with a client that waits for it",
    details: "\
Sessions are created with just so much time that their clocks run out one after the other within a slice (--slice-ms; a short one \
has them all at once). A client of each must be told of the start with the deadline, then, not before the deadline, of a session \
that expired at exactly that deadline in the next version, then of the clock that ran out, and of nothing else. Lateness is from \
the deadline until the client has the message, by the server's clock, which is compared with this machine's beforehand; and until \
the time that the server itself gives the message, in whole ms.",
    parameters: &[Parameter::Sessions("10000"), Parameter::DurationS("10"), Parameter::SliceMs("10000")],
    needs: Needs { instances: 1, backend: Backend::Memory, settings: &[], has_baseline: false },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let count = run.options.sessions;
    run.expect_files(count)?;
    let mut benchmarks: Vec<Box<dyn Benchmark>> = Vec::new();
    for target in run.targets() {
        let offset = Offset::measure(&target).await?;
        let name = format!("{}: its clock against this machine's is known to", target.name);
        run.report.figure(name, offset.error_ms(), "ms, more or less");
        benchmarks.push(Box::new(Clocks { target, offset, factory: run.factory.clone(), count }));
    }
    let rounds = run.options.rounds();
    interleave_rounds(run, benchmarks, rounds, false).await
}

/// Lets sessions expire while clients watch them.
struct Clocks {
    target: Arc<Target>,
    offset: Offset,
    factory: SessionFactory,
    count: usize,
}

/// The bounds of the offset of the server's clock from this machine's, in ms.
#[derive(Clone, Copy, Debug)]
struct Offset {
    least_ms: f64,
    most_ms: f64,
}

impl Offset {
    /// Every response says that the clock showed a whole number of ms, rounded down, between sending and receiving.
    async fn measure(target: &Target) -> Result<Self> {
        let mut offset = Self { least_ms: f64::NEG_INFINITY, most_ms: f64::INFINITY };
        let mut client = http::Client::open(target.first()).await?;
        let request = request("GET", "/v1/time", "");
        for _ in 0..TIME_ASKED {
            let sent_ms = wall_ms();
            let response = client.ask(&request).await?;
            let received_ms = wall_ms();
            let shown = scan::after(response.body, b"\"timestamp_ms\":").and_then(scan::number);
            let shown_ms = shown.ok_or_else(|| response.wrong("no time"))? as f64;
            offset.least_ms = offset.least_ms.max(shown_ms - received_ms);
            offset.most_ms = offset.most_ms.min(shown_ms + 1.0 - sent_ms);
        }
        Ok(offset)
    }

    /// The server's time now, as far as it is known.
    fn now_ms(self) -> f64 {
        wall_ms() + (self.least_ms + self.most_ms) / 2.0
    }

    /// The error of the offset.
    fn error_ms(self) -> f64 {
        // Clocks that drifted apart while they were asked leave nothing in between.
        ((self.most_ms - self.least_ms) / 2.0).abs()
    }
}

impl Benchmark for Clocks {
    fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn headings(&self) -> Vec<Heading> {
        let load = format!("{} clocks", self.count);
        let heading =
            |work: &str| Heading { work: work.to_owned(), load: load.clone(), merit: Merit::Latency, has_cost: false };
        vec![heading("from a deadline until a client knows"), heading("until the server says so")]
    }

    fn run_slice<'t>(&'t mut self, slice: Duration, samples: &'t [SharedSample]) -> SliceFuture<'t> {
        Box::pin(async move {
            let Self { target, factory, count, offset } = self;
            let sessions = factory.session_ids.take(*count);
            // All clocks run before the first one runs out.
            let (first_ms, last) = (1_000 + *count as u64 * START_US / 1_000, slice.as_millis() as u64);
            let indexes = *count as u64;
            let time_ms = Arc::new(move |index| first_ms + index as u64 * last / indexes);
            factory.step(target, &sessions, 0..*count, &SetupStep::Create(time_ms)).await?;
            factory.progress.set_phase(format!("opening {count} WebSockets {}", target.name), None);
            let (found, mut all_found) = mpsc::channel(*count);
            let (over, is_over) = watch::channel(false);
            let mut clients = JoinSet::new();
            for index in 0..*count {
                let address = target.addresses[index % target.addresses.len()];
                let socket = Socket::open(address, &sessions.id(index)).await?;
                let client = DeadlineClient { id: sessions.id(index), offset: *offset, socket };
                clients.spawn(client.wait(found.clone(), is_over.clone()));
            }
            factory.step(target, &sessions, 0..*count, &SetupStep::Start).await?;
            factory.progress.set_phase(format!("waiting for {count} clocks {}", target.name), Some(&samples[0]));
            let start = Instant::now();
            samples.iter().for_each(|sample| sample.lock().begin(start));
            let patience = Duration::from_millis(first_ms + last) + PATIENCE;
            let mut left = *count;
            while left > 0 {
                tokio::select! {
                    Some(Lateness { known, said }) = all_found.recv() => {
                        let now = Instant::now();
                        samples[0].lock().add(now, known, None);
                        samples[1].lock().add(now, said, None);
                        left -= 1;
                    }
                    Some(ended) = clients.join_next() => ended.expect("a client does not panic")?,
                    () = tokio::time::sleep_until((start + patience).into()) => {
                        return Err(Failure::Wrong(format!("{left} clocks ran out and nobody was told")));
                    }
                }
            }
            let now = Instant::now();
            samples.iter().for_each(|sample| sample.lock().end(now));
            target.add_changes(indexes);
            tokio::time::sleep(ENCORE).await;
            over.send_replace(true);
            while let Some(ended) = clients.join_next().await {
                ended.expect("a client does not panic")?;
            }
            Ok(())
        })
    }
}

/// How late a client was notified.
struct Lateness {
    known: Duration,
    said: Duration,
}

/// A client that waits for a clock to run out.
struct DeadlineClient {
    id: String,
    offset: Offset,
    socket: Socket,
}

impl DeadlineClient {
    async fn wait(mut self, found: mpsc::Sender<Lateness>, mut is_over: watch::Receiver<bool>) -> Result<()> {
        let message = self.expect("STATE_UPDATE", STARTED).await?;
        let deadline = message["state"]["deadline_at"].clone();
        if deadline.is_null() || message["state"]["status"] != "running" {
            return Err(wrong("a clock must run, with a deadline", &message));
        }
        let message = self.expect("STATE_UPDATE", EXPIRED).await?;
        let now_ms = self.offset.now_ms();
        let (deadline_ms, state) = (instant::ms(&deadline) as f64, &message["state"]);
        let first = &state["participants"][0];
        let is_right = state["status"] == "expired"
            && state["session_completed_at"] == deadline
            && state["active_participant_id"].is_null()
            && first["expired_at"] == deadline
            && first["has_expired"] == true
            && first["time_remaining_ms"] == 0;
        if !is_right {
            return Err(wrong("it must have expired at its deadline", &message));
        }
        let said_ms = message["timestamp"].as_u64().unwrap_or_default() as f64;
        if said_ms < deadline_ms || now_ms + self.offset.error_ms() < deadline_ms {
            return Err(wrong(&format!("{:.1} ms too early", deadline_ms - now_ms), &message));
        }
        let message = self.expect("TIME_EXPIRED", EXPIRED).await?;
        if message["expired_participant_id"] != PLAYERS[0] || message["expired_at"] != deadline {
            return Err(wrong("another clock must have run out", &message));
        }
        let late = |ms: f64| Duration::from_secs_f64((ms - deadline_ms).max(0.0) / 1e3);
        // The receiver is gone when something else was wrong.
        let _ = found.send(Lateness { known: late(now_ms), said: late(said_ms) }).await;
        tokio::select! {
            message = self.socket.message() => Err(Failure::wrong("nothing more must come", message?)),
            _ = is_over.wait_for(|is_over| *is_over) => Ok(()),
        }
    }

    /// The next message, which must be of that type, and if it has a state, in that version.
    async fn expect(&mut self, kind: &str, version: u64) -> Result<Value> {
        loop {
            let message = self.socket.message().await?;
            let json: Value = serde_json::from_slice(message).map_err(|error| Failure::wrong(error, message))?;
            let state = &json["state"];
            if json["type"] == "STATE_SYNC" && state["version"] == CREATED {
                continue;
            }
            let is_right = json["type"] == kind
                && json["sessionId"] == *self.id
                && (state.is_null() || state["version"] == version);
            return if is_right {
                Ok(json)
            } else {
                Err(wrong(&format!("{kind} in version {version} must come"), &json))
            };
        }
    }
}

fn wrong(why: &str, message: &Value) -> Failure {
    Failure::wrong(why, message.to_string().as_bytes())
}

fn wall_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}
