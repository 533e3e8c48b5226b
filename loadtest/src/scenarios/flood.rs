//! A flood of tokens with bad signatures, from one address: how much longer everybody else waits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::generator::credential;
use crate::generator::failure::{Failure, Result};
use crate::generator::http::Client;
use crate::generator::pace::Pace;
use crate::generator::sample::SharedSample;
use crate::generator::switches::Switch;
use crate::generator::worker_pool::WorkerPool;
use crate::interleave::{Benchmark, Load, SliceFuture, interleave};
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::report::{Heading, Merit};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;
use crate::servers::target::Target;

const CONNECTIONS: usize = 32;
/// Where the flood comes from: everybody else is at 127.0.0.1.
const FLOODED_FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const FLOOD_CONNECTIONS: u64 = 2;
/// How often each of them sends a token.
const PAUSE: Duration = Duration::from_millis(1);
/// The key that the servers of the run know.
const API_KEY: &str = "synk_load_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// A public key whose private one nobody has.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/flooded.jwks.json");

/// What the flood asks for.
const SESSION: &str = "550e8400-e29b-41d4-a716-446655440000";
const ISSUER: &str = "https://issuer.example";

pub(super) const SCENARIO: Scenario = Scenario {
    name: "flood",
    about: "Switches with a key, while one address sends 2,000 tokens a second with bad signatures, as many requests without, or nothing",
    details: "\
Everybody shows an API key and switches sessions of their own at a fixed rate (open loop). In one turn of three another address sends tokens \
(ES256) whose signatures are wrong, each another one, over two connections that are opened again when the server closes them; in one as many requests \
that show nothing, which is what so many requests cost by themselves; in one nothing. Every one of them must be refused, as unauthenticated or as too \
many; the others' latencies are to be compared. A server that is given by --url needs \
TOKEN_JWKS=loadtest/flooded.jwks.json and TOKEN_ISSUER=https://issuer.example.",
    parameters: &[
        Parameter::Sessions("64"),
        Parameter::Rate("1000"),
        Parameter::DurationS("30"),
        Parameter::SliceMs("3000"),
    ],
    needs: Needs {
        instances: 1,
        backend: Backend::Memory,
        settings: &[("API_KEY", API_KEY), ("TOKEN_JWKS", KEYS), ("TOKEN_ISSUER", ISSUER)],
        has_baseline: false,
    },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    credential::set(API_KEY);
    let rate = run.options.rate.expect("it has a default");
    let mut benchmarks: Vec<Box<dyn Benchmark>> = Vec::new();
    let mut floods = Vec::new();
    for target in run.targets() {
        for flood in [None, Some(Flood::Anonymous), Some(Flood::BadTokens)] {
            let sessions = run.factory.sessions(&target, run.options.sessions).await?;
            let shares = sessions.shares(CONNECTIONS.min(run.options.sessions));
            let pool = WorkerPool::new(
                &target.addresses,
                shares.iter().map(|indexes| Switch::boxed(&sessions, indexes, None)),
            );
            let flood = flood.map(|flood| (flood, Arc::<Refused>::default()));
            floods.extend(flood.iter().map(|(flood, refused)| (flood.name(), Arc::clone(refused))));
            benchmarks.push(Box::new(Others { target: Arc::clone(&target), pool, rate, flood }));
        }
    }
    interleave(run, benchmarks).await?;
    for (name, refused) in floods {
        for (what, count) in [("unauthenticated", &refused.unauthenticated), ("too many", &refused.too_many)] {
            run.report.figure(format!("{name}: refused as {what}"), count.load(Ordering::Relaxed) as f64, "requests");
        }
    }
    Ok(())
}

/// Everybody else.
struct Others {
    target: Arc<Target>,
    pool: WorkerPool,
    rate: f64,
    /// The flood beside them, when there is one, and what becomes of it.
    flood: Option<(Flood, Arc<Refused>)>,
}

/// What an address sends.
#[derive(Clone, Copy)]
enum Flood {
    /// Requests that show nothing.
    Anonymous,
    /// Tokens with bad signatures.
    BadTokens,
}

impl Flood {
    fn name(self) -> &'static str {
        match self {
            Flood::Anonymous => "beside requests without tokens",
            Flood::BadTokens => "beside bad tokens",
        }
    }
}

/// How many requests were refused, and as what.
#[derive(Default)]
struct Refused {
    unauthenticated: AtomicU64,
    too_many: AtomicU64,
}

impl Benchmark for Others {
    fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn headings(&self) -> Vec<Heading> {
        let load = Load::new(Some(self.rate)).beside(self.flood.as_ref().map_or("alone", |(flood, _)| flood.name()));
        let load = load.name(self.pool.connections());
        vec![Heading { work: "switch".to_owned(), load, merit: Merit::Latency, has_cost: true }]
    }

    fn run_slice<'t>(&'t mut self, slice: Duration, samples: &'t [SharedSample]) -> SliceFuture<'t> {
        Box::pin(async move {
            let mut flood = JoinSet::new();
            if let Some((kind, refused)) = &self.flood {
                for connection in 0..FLOOD_CONNECTIONS {
                    flood.spawn(send(*kind, self.target.first(), connection, Arc::clone(refused)));
                }
            }
            tokio::select! {
                done = self.pool.work(Pace::Open(self.rate, slice), &samples[0]) => done?,
                Some(ended) = flood.join_next() => return Err(ended.expect("a flood does not panic")),
            }
            self.target.add_changes(samples[0].lock().done());
            Ok(())
        })
    }
}

/// Floods over one connection after the other, until it is dropped or a request is not refused.
async fn send(flood: Flood, address: SocketAddr, connection: u64, refused: Arc<Refused>) -> Failure {
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut number = connection << 56 | since_epoch().as_micros() as u64;
    loop {
        let mut client = match open(address).await {
            Ok(client) => client,
            Err(failure) => return failure,
        };
        loop {
            ticks.tick().await;
            number += 1;
            let authorization = match flood {
                Flood::Anonymous => String::new(),
                Flood::BadTokens => format!("authorization: Bearer {}\r\n", bad_token(number)),
            };
            let request = format!("GET /v1/sessions/{SESSION} HTTP/1.1\r\nhost: localhost\r\n{authorization}\r\n");
            let status = match client.ask(request.as_bytes()).await {
                Ok(response) => response.status,
                Err(Failure::Wrong(why)) => return Failure::Wrong(why),
                // It was closed.
                Err(Failure::Broken(_)) => break,
            };
            match status {
                401 => refused.unauthenticated.fetch_add(1, Ordering::Relaxed),
                429 => refused.too_many.fetch_add(1, Ordering::Relaxed),
                status => return Failure::Wrong(format!("a request of nobody's was answered with {status}")),
            };
        }
    }
}

async fn open(address: SocketAddr) -> Result<Client> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((FLOODED_FROM, 0).into())?;
    Client::over(socket.connect(address).await?)
}

/// A token that would be right if it were signed.
fn bad_token(number: u64) -> String {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"ES256","typ":"JWT","kid":"flooded"}"#);
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"{number}","exp":{},"aud":"synckairos","synckairos":{{"grants":[]}}}}"#,
        since_epoch().as_secs() + 600
    );
    let signature: Vec<u8> =
        (1..=8_u64).flat_map(|part| (number.wrapping_mul(2 * part + 1) | 1).to_be_bytes()).collect();
    format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(claims), URL_SAFE_NO_PAD.encode(signature))
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
