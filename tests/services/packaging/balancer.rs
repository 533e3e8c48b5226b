//! `packaging/haproxy.cfg`: a real HAProxy discovers two instances by name, as it would containers, and fails over.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::net::UdpSocket;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::metrics::value;
use test_support::program::Program;
use test_support::redis::{Redis, free_port};
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::text;

/// Addresses that only the instances have, so that both can listen on one port, as containers do.
const INSTANCES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

/// HAProxy, killed when the test ends.
struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Balancer {
    fn start(config: &Path) -> Self {
        // Debian keeps it out of other people's PATH.
        let program =
            ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(program.unwrap_or("haproxy"));
        command.arg("-db").arg("-f").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("haproxy is installed: tests/run installs it"))
    }
}

/// Answers every question for IPv4 addresses with those of the instances, and all others with nothing.
async fn name_server(socket: UdpSocket) {
    const HEAD: usize = 12;
    let mut asked = [0; 512];
    loop {
        let (len, from) = socket.recv_from(&mut asked).await.expect("the socket is open");
        let name_len = asked[HEAD..len].iter().position(|&length| length == 0).expect("a name ends") + 1;
        let question = &asked[HEAD..HEAD + name_len + 4];
        let is_for_ipv4 = question[name_len..name_len + 2] == [0, 1];
        let addresses = if is_for_ipv4 { &INSTANCES[..] } else { &[] };
        let mut answer = vec![asked[0], asked[1], 0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0];
        answer.extend_from_slice(question);
        for address in addresses {
            // The name in the question, an address, of the internet, for a second, four bytes.
            answer.extend_from_slice(&[0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend_from_slice(&address.octets());
        }
        socket.send_to(&answer, from).await.expect("the socket is open");
    }
}

/// The file as it is, but for where names are asked for and which ports are free.
fn config(clients: u16, names: u16, instances: u16) -> String {
    let replacements = [
        ("    bind :3000\n", format!("    bind 127.0.0.1:{clients}\n")),
        ("    parse-resolv-conf\n", format!("    nameserver test 127.0.0.1:{names}\n")),
        (" synckairos:3000\n", format!(" synckairos:{instances}\n")),
    ];
    replacements.into_iter().fold(text("packaging/haproxy.cfg"), |config, (from, to)| {
        assert_eq!(config.matches(from).count(), 1, "{from:?}");
        config.replace(from, &to)
    })
}

async fn sockets(instance: SocketAddr) -> f64 {
    let metrics = Connection::open(instance).await.ask("GET", "/metrics", "").await;
    value(&metrics.body, "synckairos_websocket_connections")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_are_one_server() {
    let redis = Redis::start();
    let url = redis.url();
    let start = |address: Ipv4Addr, port: &str| {
        let address = address.to_string();
        Program::start(&[("HOST", &*address), ("PORT", port), ("REDIS_URL", &*url), ("AUDIT", "off"), ("AUTH", "off")])
    };
    let mut first = start(INSTANCES[0], "0");
    let port = first.address.port();
    let second = start(INSTANCES[1], &port.to_string());

    let names = UdpSocket::bind("127.0.0.1:0").await.expect("a port is free");
    let names_port = names.local_addr().expect("it is bound").port();
    tokio::spawn(name_server(names));
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let directory = Directory::new();
    fs::create_dir_all(directory.path()).expect("the directory can be made");
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, config(address.port(), names_port, port)).expect("the file can be written");
    let _balancer = Balancer::start(&file);
    let serves = async || match Connection::try_open(address).await {
        Some(mut client) => client.try_ask("GET", "/ready").await.is_some_and(|answer| answer.status == 200),
        None => false,
    };
    wait::until("somebody serves", serves).await;

    // Whoever has fewer clients gets the next one, as soon as both are known to serve.
    let mut watchers = Vec::new();
    wait::until("both have a watcher", async || {
        watchers.push(Client::join(address, &id(1)).await);
        sockets(first.address).await > 0.0 && sockets(second.address).await > 0.0
    })
    .await;
    let mut client = Connection::open(address).await;
    client.create(&two_players(&id(1), 3_600_000)).await;
    client.post(&id(1), "start", &Value::Null).await;
    for watcher in &mut watchers {
        while watcher.next_of("STATE_UPDATE").await["state"]["version"] != 2 {}
    }

    first.child.kill().expect("it runs");
    wait::until("the balancer knows", async || {
        let mut is_served = true;
        for _ in 0..20 {
            is_served &= serves().await;
        }
        is_served
    })
    .await;
    let mut late = Client::join(address, &id(1)).await;
    assert_eq!(late.next_of("STATE_SYNC").await["state"]["version"], 2);
    let mut client = Connection::open(address).await;
    for version in 3..10 {
        assert_eq!(client.post(&id(1), "switch", &Value::Null).await["version"], version);
        assert_eq!(late.next_of("STATE_UPDATE").await["state"]["version"], version);
    }
    assert!(sockets(second.address).await >= 2.0);
}
