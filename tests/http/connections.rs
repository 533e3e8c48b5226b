//! Connection limits, in all and for each address, and the reserve for probes.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpSocket;

use test_support::http::{Answer, Connection};
use test_support::program::{Program, command, output};
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;

const HOUR: u64 = 3_600_000;
/// Clients of the server's own machine that have addresses of their own.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

async fn connect_from(server: &Server, address: Ipv4Addr) -> Connection {
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket.bind((address, 0).into()).expect("the address is ours");
    Connection::over(socket.connect(server.address()).await.expect("the server listens"))
}

async fn assert_refused(client: &mut Connection) -> Answer {
    let answer = client.ask("POST", "/v1/sessions", &two_players(&id(1), HOUR).to_string()).await;
    assert_eq!((answer.status, answer.code()), (503, "UNAVAILABLE".to_owned()), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    answer
}

async fn is_served(client: &mut Connection) -> bool {
    client.ask("GET", "/v1/time", "").await.status == 200
}

#[tokio::test]
async fn there_are_only_so_many() {
    let server = Server::start_with(&[("MAX_CONNECTIONS", "2")]).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    for _ in 0..10 {
        let mut third = server.connect().await;
        assert_refused(&mut third).await;
        assert!(third.is_closed_in_order().await);
    }
    assert!(is_served(&mut second).await, "those who are in stay in");
    drop(first);
    wait::until("there is room again", async || is_served(&mut server.connect().await).await).await;
}

#[tokio::test]
async fn the_server_can_be_asked_how_it_is_while_all_are_taken() {
    let server = Server::start_with(&[("MAX_CONNECTIONS", "1")]).await;
    let mut only = server.connect().await;
    assert!(is_served(&mut only).await);
    for path in ["/health", "/ready"] {
        let mut probe = server.connect().await;
        let answer = probe.ask("GET", path, "").await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
        assert!(probe.is_closed_in_order().await, "a probe asks once");
    }
    for (method, path) in [("GET", "/metrics"), ("OPTIONS", "/health"), ("GET", "/nowhere"), ("GET", "/ws")] {
        let answer = server.connect().await.ask(method, path, "").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{method} {path}: {answer:?}");
    }
    // Whoever only connects does not keep others out for long, and is told why it is left.
    let mut silent = server.connect().await;
    let answer = silent.answer(false).await.expect("it is told");
    assert_eq!((answer.status, answer.code()), (503, "UNAVAILABLE".to_owned()), "{answer:?}");
}

#[tokio::test]
async fn one_client_cannot_take_the_reserve() {
    let server = Server::start_with(&[("MAX_CONNECTIONS", "1")]).await;
    let mut only = server.connect().await;
    assert!(is_served(&mut only).await);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(connect_from(&server, ADDRESSES[0]).await);
    }
    assert_eq!(connect_from(&server, ADDRESSES[1]).await.ask("GET", "/health", "").await.status, 200);
}

#[tokio::test]
async fn the_program_finds_out_how_a_full_server_is() {
    let program = Program::start(&[("MAX_CONNECTIONS", "1")]);
    let mut only = Connection::open(program.address).await;
    assert!(is_served(&mut only).await);
    let url = format!("http://{}", program.address);
    for arguments in [&["health", "--url", &url][..], &["health", "--ready", "--url", &url]] {
        let said = output(command().args(arguments));
        assert_eq!(said.status.code(), Some(0), "{arguments:?}: {said:?}");
    }
}

#[tokio::test]
async fn there_are_only_so_many_of_an_address() {
    let server = Server::start_with(&[("MAX_CONNECTIONS_PER_ADDRESS", "2")]).await;
    let mut own = Vec::new();
    for _ in 0..2 {
        own.push(connect_from(&server, ADDRESSES[0]).await);
        assert!(is_served(own.last_mut().expect("one was added")).await);
    }
    assert_refused(&mut connect_from(&server, ADDRESSES[0]).await).await;
    assert_eq!(connect_from(&server, ADDRESSES[0]).await.ask("GET", "/health", "").await.status, 200);
    assert!(is_served(&mut connect_from(&server, ADDRESSES[1]).await).await, "others are not concerned");
    own.pop();
    wait::until("there is room again", async || is_served(&mut connect_from(&server, ADDRESSES[0]).await).await).await;
}

#[tokio::test]
async fn proxies_may_have_as_many_as_there_are() {
    let settings = [("MAX_CONNECTIONS_PER_ADDRESS", "2"), ("TRUSTED_PROXIES", "127.0.0.2")];
    let server = Server::start_with(&settings).await;
    let mut passed_on = Vec::new();
    for _ in 0..10 {
        passed_on.push(connect_from(&server, ADDRESSES[0]).await);
        assert!(is_served(passed_on.last_mut().expect("one was added")).await);
    }
}

/// The timeout of idle connections is for those that have served before.
#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start_with(&[("HEADER_TIMEOUT_MS", "150"), ("IDLE_TIMEOUT_MS", "3600000")]).await;
    let mut served = server.connect().await;
    assert!(is_served(&mut served).await);
    assert!(server.connect().await.is_closed_in_order().await, "without a word");
    tokio::time::timeout(Duration::ZERO, served.is_closed()).await.expect_err("this one may wait");
    assert!(is_served(&mut served).await);
}
