//! A change reaches 1,000 WebSockets of one session: how long whoever commits it is held up, and how long until the
//! last of them has it, over real sockets whose clients share the cores.

mod support;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use hyper::Request;
use hyper::http::request::Parts;
use prometheus_client::registry::Registry;
use synckairos::caller::{Authentication, Caller};
use synckairos::client::ClientAddress;
use synckairos::clock::Clock;
use synckairos::engine::{Millis, SessionId};
use synckairos::sessions::{ClientRateLimit, Sessions};
use synckairos::shutdown;
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::{Countdown, Listener, Metrics, Update};
use synckairos::supervision::Supervisor;
use synckairos::wire;
use synckairos::ws::{self, Entrance, Hub, UpgradeRequest, WsContext};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use support::{BEGIN, new_session, started};

const CLIENTS: u64 = 1_000;
/// Nobody is asked whether they are still there, and nobody is given up.
const PATIENCE: Duration = Duration::from_secs(3_600);

fn broadcast(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("there are threads");
    let _inside = runtime.enter();
    let new = new_session(1, 2);
    let hub = Arc::new(Hub::new(&mut Registry::default(), u64::MAX, &Supervisor::default()));
    let (_trigger, shutdown) = shutdown::channel();
    let store = store(&hub);
    let live = WsContext {
        sessions: Sessions::new(Arc::clone(&store) as _),
        clocks: Arc::clone(&store) as _,
        clock: Clock::system(),
        authenticator: None,
        waiting: Arc::default(),
        client_limit: ClientRateLimit::new(store, None),
        hub: Arc::clone(&hub),
        heartbeat: PATIENCE,
        request_timeout: PATIENCE,
        answer_bytes_per_s: 0,
        write_timeout: PATIENCE,
    };
    let received = Arc::new(Received::default());
    let clients = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there is a thread");
    for _ in 0..CLIENTS {
        let (client, tcp) = runtime.block_on(connection());
        clients.spawn(watch(client, Arc::clone(&received)));
        let (live, shutdown) = (live.clone(), shutdown.clone());
        let invited = ws::invite(&handshake(new.id)).expect("it is one").expect("nothing is wrong with it");
        let caller = Caller::new(ClientAddress::UNIX, Authentication::Open);
        let upgrade = UpgradeRequest { session: invited.session, caller, entrance: Entrance::Admitted };
        tokio::spawn(async move { ws::serve(tcp, Bytes::new(), upgrade, &live, shutdown).await });
    }
    thread::spawn(move || clients.block_on(std::future::pending::<()>()));
    // Everybody is greeted first.
    runtime.block_on(received.until(CLIENTS));

    let mut session = started(&new);
    let mut group = criterion.benchmark_group("broadcast");
    for (name, is_told) in [("told", true), ("received", false)] {
        group.bench_function(format!("{name}/{CLIENTS}"), |bencher| {
            bencher.iter_custom(|changes| {
                let mut took = Duration::ZERO;
                for _ in 0..changes {
                    session.version += 1;
                    let frame = wire::encode(&session, BEGIN).frame();
                    let update = Update::State { tag: session.tag(), frame, countdown: Countdown::default() };
                    let all = received.count() + CLIENTS;
                    let start = Instant::now();
                    hub.update(session.id, &update);
                    let told = start.elapsed();
                    runtime.block_on(received.until(all));
                    took += if is_told { told } else { start.elapsed() };
                }
                took
            });
        });
    }
}

fn store(hub: &Arc<Hub>) -> Arc<Memory> {
    let limit = Limit { sessions_max: 1, tombstone_ttl: Millis::ZERO, ..Limit::default() };
    Arc::new(Memory::new(Clock::system(), limit, Arc::clone(hub) as _, Metrics::default()))
}

/// What a client asks for that wants to watch a session.
fn handshake(id: SessionId) -> Parts {
    let request = Request::get(format!("/ws?sessionId={id}"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    request.body(()).expect("it can be asked").into_parts().0
}

/// Both ends of a connection, the client's first.
async fn connection() -> (std::net::TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there are ports");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
    let (server, _) = listener.accept().await.expect("somebody connects");
    (client.into_std().expect("nothing is under way"), server)
}

/// Counts what comes.
async fn watch(tcp: std::net::TcpStream, received: Arc<Received>) {
    let mut tcp = TcpStream::from_std(tcp).expect("it does not block");
    let mut read = Vec::with_capacity(16_384);
    while tcp.read_buf(&mut read).await.is_ok_and(|len| len > 0) {
        while let Some(len) = frame_len(&read).filter(|len| *len <= read.len()) {
            read.drain(..len);
            received.one();
        }
    }
}

/// How long the frame is that begins here (RFC 6455, section 5.2); none has 64 KiB.
fn frame_len(read: &[u8]) -> Option<usize> {
    match *read.get(1)? {
        126 => Some(4 + usize::from(u16::from_be_bytes([*read.get(2)?, *read.get(3)?]))),
        len => Some(2 + usize::from(len)),
    }
}

/// Messages that anybody has received.
#[derive(Default)]
struct Received {
    count: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Received {
    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn one(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.awaited.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }

    async fn until(&self, count: u64) {
        self.awaited.store(count, Ordering::SeqCst);
        while self.count() < count {
            self.reached.notified().await;
        }
    }
}

criterion_group!(benches, broadcast);
criterion_main!(benches);
