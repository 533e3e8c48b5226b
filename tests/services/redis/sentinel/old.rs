//! Fencing: a master that was halted and comes back after a failover, before the Sentinels make it a replica.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use test_support::redis::Redis;
use test_support::wait;

/// What Sentinels, this test and whoever only looks who it is may say.
const HARMLESS: [&str; 16] = [
    "ping",
    "info",
    "hello",
    "client",
    "auth",
    "select",
    "echo",
    "role",
    "command",
    "multi",
    "exec",
    "slaveof",
    "config",
    "subscribe",
    "replconf",
    "psync",
];
const MARK: &str = "from now on";

/// Hears every command that a server is told, from when it goes on.
pub(super) struct Overheard(BufReader<TcpStream>);

impl Overheard {
    /// Asks a server that is halted.
    pub(super) async fn begin(old: &Redis) -> Self {
        let mut tcp = TcpStream::connect(("127.0.0.1", old.port())).await.expect("the system takes the connection");
        tcp.write_all(b"MONITOR\r\n").await.expect("the system takes it");
        Self(BufReader::new(tcp))
    }

    /// Lets the server go on until it is a replica. From when the instances' old connections are gone nothing of
    /// ours may reach it. `false` when it was made a replica before they were gone: then nothing is known of it.
    pub(super) async fn go_on(mut self, old: &Redis) -> bool {
        old.signal("CONT");
        let mut connection = old.connect();
        let named = redis::cmd("CLIENT").arg("SETNAME").arg("test").exec(&mut connection);
        named.expect("it answers");
        wait::until("old connections are gone", async || {
            // Whoever makes it a replica ends this one, too.
            let clients = redis::cmd("CLIENT").arg("LIST").query::<String>(&mut connection);
            clients.is_err() || clients.is_ok_and(|clients| clients.lines().all(is_others))
        })
        .await;
        if redis::cmd("ECHO").arg(MARK).exec(&mut connection).is_err() {
            return false;
        }
        let (mut early, mut since) = (0, None);
        let mut line = String::new();
        loop {
            line.clear();
            let read = timeout(Duration::from_secs(60), self.0.read_line(&mut line)).await;
            // Whoever makes it a replica ends all connections.
            if read.expect("the Sentinels make it a replica").unwrap_or(0) == 0
                || line.to_lowercase().contains("\"slaveof\"")
            {
                break;
            }
            if line.contains(MARK) {
                since = Some(0);
            }
            match &mut since {
                None => early += usize::from(line.contains("\"SETEX\"")),
                Some(heard) => {
                    *heard += 1;
                    assert!(is_harmless(&line), "an old master was told: {line}");
                }
            }
        }
        println!("an old master: {early} states were on their way to it; {since:?} commands of others after that");
        since.is_some()
    }
}

/// A Sentinel's connection, a replica's or the test's own, as CLIENT LIST shows it.
fn is_others(client: &str) -> bool {
    let field = |name: &str| client.split(' ').find_map(|field| field.strip_prefix(name)).unwrap_or_default();
    field("name=").starts_with("sentinel-") || field("name=") == "test" || field("flags=").contains(['O', 'S', 'M'])
}

fn is_harmless(line: &str) -> bool {
    // The instant, who it is, then the command in quotes: `+1.2 [0 127.0.0.1:9] "info"`.
    let Some(command) = line.split_once("] ").map(|(_, command)| command.to_lowercase()) else { return true };
    HARMLESS.iter().any(|harmless| command.starts_with(&format!("\"{harmless}\"")))
        || command.starts_with("\"publish\" \"__sentinel__")
}
