//! A change reaches 1,000 WebSockets of one session: how long whoever commits it is held up, and how long until the
//! last of them was sent it. The sockets take whatever is written at once; what the kernel makes of it is for
//! the load test.

mod support;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use hyper::Request;
use hyper::http::request::Parts;
use prometheus_client::registry::Registry;
use synckairos::clock::Clock;
use synckairos::engine::{Millis, SessionId};
use synckairos::sessions::{Rates, Sessions};
use synckairos::shutdown;
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::{Countdown, Listener, Metrics, Update};
use synckairos::wire;
use synckairos::ws::{self, Hub, Live};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use support::{BEGIN, new_session, started};

const CLIENTS: u64 = 1_000;
/// Nobody is asked whether they are still there, and nobody is given up.
const PATIENCE: Duration = Duration::from_secs(3_600);

fn broadcast(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("there are threads");
    let _inside = runtime.enter();
    let new = new_session(1, 2);
    let hub = Arc::new(Hub::new(&mut Registry::default()));
    let (_trigger, shutdown) = shutdown::channel();
    let live = Live {
        sessions: sessions(&hub),
        hub: Arc::clone(&hub),
        heartbeat: PATIENCE,
        request_timeout: PATIENCE,
        write_timeout: PATIENCE,
    };
    let sent = Arc::new(Sent::default());
    for _ in 0..CLIENTS {
        let (live, shutdown, socket) = (live.clone(), shutdown.clone(), Socket(Arc::clone(&sent)));
        let (_, invitation) = ws::invite(&handshake(new.id)).expect("it is one");
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        tokio::spawn(async move { ws::serve(socket, Bytes::new(), client, invitation, &live, shutdown).await });
    }
    // Everybody is greeted first.
    runtime.block_on(sent.until(CLIENTS));

    let mut session = started(&new);
    let mut group = criterion.benchmark_group("broadcast");
    for (name, is_told) in [("told", true), ("sent", false)] {
        group.bench_function(format!("{name}/{CLIENTS}"), |bencher| {
            bencher.iter_custom(|changes| {
                let mut took = Duration::ZERO;
                for _ in 0..changes {
                    session.version += 1;
                    let frame = wire::encode(&session, BEGIN).frame();
                    let update = Update::State { tag: session.tag(), frame, countdown: Countdown::default() };
                    let all = sent.count() + CLIENTS;
                    let start = Instant::now();
                    hub.update(session.id, &update);
                    let told = start.elapsed();
                    runtime.block_on(sent.until(all));
                    took += if is_told { told } else { start.elapsed() };
                }
                took
            });
        });
    }
}

fn sessions(hub: &Arc<Hub>) -> Sessions {
    let limit = Limit { sessions_max: 1, tombstone_ttl: Millis::ZERO };
    let store = Memory::new(Clock::system(), limit, Arc::clone(hub) as _, Metrics::default());
    Sessions::new(Arc::new(store), Rates::default())
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

/// Messages that were sent to anybody.
#[derive(Default)]
struct Sent {
    count: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Sent {
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

/// A socket that takes every message at once and from which nothing comes.
struct Socket(Arc<Sent>);

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<usize>> {
        self.0.one();
        Poll::Ready(Ok(message.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

criterion_group!(benches, broadcast);
criterion_main!(benches);
