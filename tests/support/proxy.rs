//! A network between a server and Redis that fails: it cuts connections and swallows replies, also just when a transaction was
//! sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How EXEC looks on the wire.
const EXEC: &[u8] = b"EXEC\r\n";
/// How a connection for updates begins to be one.
const SUBSCRIBE: &[u8] = b"SUBSCRIBE\r\n";
/// How a transaction ends that is not carried out.
const DISCARD: &[u8] = b"DISCARD\r\n";

/// Forwards bytes; ends with the test.
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<Faults>,
    _task: JoinSet<()>,
}

/// What goes wrong, and how often somebody came.
#[derive(Default)]
struct Faults {
    connections: AtomicU64,
    /// Connections made before the latest generation are cut.
    generation: watch::Sender<u64>,
    /// How many more times a connection is to be cut when a transaction was forwarded and not answered yet.
    cuts_at_exec: AtomicU32,
    /// How many times that has been done.
    cuts_done: AtomicU32,
    /// Nothing is told on connections for updates that exist now.
    muted: watch::Sender<u64>,
    /// Replies on all connections are swallowed.
    swallows: AtomicBool,
    /// Replies are swallowed, but those on connections for updates.
    swallows_answers: AtomicBool,
    /// That begins when the next transaction is forwarded.
    swallows_from_exec: AtomicBool,
    /// How long a reply is on its way.
    delay_us: AtomicU64,
}

impl Proxy {
    /// A network that works, to a Redis at `port`.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let faults = Arc::new(Faults::default());
        let mut task = JoinSet::new();
        let given = Arc::clone(&faults);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                given.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(connection(client, port, Arc::clone(&given)));
            }
        });
        Self { address, faults, _task: task }
    }

    /// Redis through it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> u64 {
        self.faults.connections.load(Ordering::SeqCst)
    }

    /// Cuts every connection; new ones can be made.
    pub fn cut(&self) {
        self.faults.generation.send_modify(|generation| *generation += 1);
    }

    /// Cuts a connection so many times when a transaction was forwarded and before its reply.
    pub fn cut_at_exec(&self, times: u32) {
        self.faults.cuts_at_exec.fetch_add(times, Ordering::SeqCst);
    }

    /// How many times that was done.
    pub fn cuts_done(&self) -> u32 {
        self.faults.cuts_done.load(Ordering::SeqCst)
    }

    /// The connections for updates that exist now stay open, and nothing is told on them any more.
    pub fn mute_updates(&self) {
        self.faults.muted.send_modify(|muted| *muted += 1);
    }

    /// From the next transaction on, which is carried out, every reply is swallowed; connections stay open.
    pub fn swallow_from_exec(&self) {
        self.faults.swallows_from_exec.store(true, Ordering::SeqCst);
    }

    /// From now on every reply is swallowed, and updates get through; connections stay open.
    pub fn swallow_answers(&self) {
        self.faults.swallows_answers.store(true, Ordering::SeqCst);
    }

    /// From now on every reply is on its way for so long, however many there are.
    pub fn delay(&self, delay: Duration) {
        self.faults.delay_us.store(delay.as_micros() as u64, Ordering::SeqCst);
    }

    /// Replies get through again.
    pub fn heal(&self) {
        self.faults.swallows_answers.store(false, Ordering::SeqCst);
        self.faults.swallows.store(false, Ordering::SeqCst);
    }
}

async fn connection(client: TcpStream, port: u16, faults: Arc<Faults>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut cut = faults.generation.subscribe();
    cut.mark_unchanged();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let link = Link { faults, is_subscriber: AtomicBool::new(false), awaits_exec: AtomicBool::new(false) };
    // Whichever ends first ends both: the sockets are closed when this returns.
    tokio::select! {
        () = link.ask(from_client, to_server) => {}
        () = link.tell(from_server, to_client) => {}
        _ = cut.changed() => {}
    }
}

struct Link {
    faults: Arc<Faults>,
    is_subscriber: AtomicBool,
    /// The transaction that was forwarded last is the one whose reply is not to arrive.
    awaits_exec: AtomicBool,
}

impl Link {
    async fn ask(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut piece = vec![0; 65_536];
        while let Ok(len @ 1..) = from.read(&mut piece).await {
            let has = |word: &[u8]| piece[..len].windows(word.len()).any(|window| window == word);
            // Whoever only asks whether it might does not listen.
            if has(SUBSCRIBE) && !has(DISCARD) {
                self.is_subscriber.store(true, Ordering::SeqCst);
            }
            if has(EXEC) && take_one(&self.faults.cuts_at_exec) {
                self.awaits_exec.store(true, Ordering::SeqCst);
            }
            if has(EXEC) && self.faults.swallows_from_exec.swap(false, Ordering::SeqCst) {
                self.faults.swallows.store(true, Ordering::SeqCst);
            }
            if to.write_all(&piece[..len]).await.is_err() {
                return;
            }
        }
    }

    async fn tell(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (on_its_way, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let arrive = async move {
            while let Some((at, piece)) = arriving.recv().await {
                tokio::time::sleep_until(at).await;
                if to.write_all(&piece).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(self.reply(from, on_its_way), arrive);
    }

    async fn reply(&self, mut from: OwnedReadHalf, to: mpsc::UnboundedSender<(Instant, Vec<u8>)>) {
        let mut muted = self.faults.muted.subscribe();
        muted.mark_unchanged();
        let mut piece = vec![0; 65_536];
        while let Ok(len @ 1..) = from.read(&mut piece).await {
            if self.awaits_exec.load(Ordering::SeqCst) {
                // Redis has answered, so that it was carried out; nobody hears of it.
                self.faults.cuts_done.fetch_add(1, Ordering::SeqCst);
                return;
            }
            let is_subscriber = self.is_subscriber.load(Ordering::SeqCst);
            let is_muted = match is_subscriber {
                true => muted.has_changed().unwrap_or(false),
                false => self.faults.swallows_answers.load(Ordering::SeqCst),
            };
            if is_muted || self.faults.swallows.load(Ordering::SeqCst) {
                continue;
            }
            let delay = Duration::from_micros(self.faults.delay_us.load(Ordering::SeqCst));
            if to.send((Instant::now() + delay, piece[..len].to_vec())).is_err() {
                return;
            }
        }
    }
}

fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
