//! Outboxes over real sockets: what arrives, what is skipped, and which client is given up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::budget::{OutboxBudget, QueuedMessage};
use super::super::outgoing::OutboxEnd;
use super::super::shared_writer::SharedStream;
use super::{Due, Outbox};
use crate::engine::StateTag;

fn tag(version: u64) -> StateTag {
    StateTag { epoch: 1, version }
}

/// A client that can be sent something, and its own end.
async fn connected(bytes_max: u64) -> (Arc<Outbox>, SharedStream<Outbox>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
    let (tcp, _) = listener.accept().await.expect("somebody connects");
    let outbox = Arc::new(Outbox::new(&OutboxBudget::new(bytes_max, Gauge::default()), Counter::default()));
    let stream = SharedStream::shared(tcp, Arc::clone(&outbox));
    (outbox, stream, client)
}

fn update(outbox: &Outbox, version: u64, padding: usize) -> QueuedMessage {
    let text = format!(r#"{{"type":"STATE_UPDATE","v":{version},"p":"{}"}}"#, "x".repeat(padding));
    QueuedMessage::new(Bytes::from(text), &outbox.budget)
}

#[tokio::test]
async fn nothing_is_sent_before_the_greeting_nor_after_the_end() {
    let (outbox, _stream, mut client) = connected(u64::MAX).await;
    outbox.state(tag(1), update(&outbox, 1, 0));
    outbox.send_now();
    assert!(client.try_read(&mut [0]).is_err(), "nobody was greeted");
    outbox.open(Bytes::from_static(b"hello"), None);
    outbox.notice(QueuedMessage::new(Bytes::from_static(b"last"), &outbox.budget));
    outbox.send_now();
    outbox.close();
    outbox.answer(Bytes::from_static(b"late"));
    let mut read = vec![0; 7 + 2 + 36 + 6];
    client.read_exact(&mut read).await.expect("it was sent");
    let expected =
        [&b"\x81\x05hello\x81\x24"[..], br#"{"type":"STATE_UPDATE","v":1,"p":""}"#, b"\x81\x04last"].concat();
    assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&expected));
    assert!(client.try_read(&mut read).is_err(), "nothing else was");
    assert_eq!(outbox.due().await, Due::End(OutboxEnd::Closed));
}

/// Reads frames of at least 64 KiB, as they come; the versions and how many each replaces.
async fn versions(client: &mut TcpStream, until: u64) -> Vec<(u64, u64)> {
    let mut versions = Vec::new();
    loop {
        let mut head = [0; 10];
        client.read_exact(&mut head).await.expect("a frame");
        assert_eq!(head[..2], [0x81, 127]);
        let len = u64::from_be_bytes(head[2..].try_into().expect("eight bytes"));
        let mut text = vec![0; len as usize];
        client.read_exact(&mut text).await.expect("its text");
        let text = String::from_utf8(text).expect("JSON");
        let number = |name: &str| {
            let digits = text.split_once(name).map_or("0", |(_, rest)| rest);
            digits.split([',', '}']).next().and_then(|digits| digits.parse().ok()).expect("a number")
        };
        let version = number(r#""v":"#);
        versions.push((version, number(r#""skipped":"#)));
        if version == until {
            return versions;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_the_newest_state_which_says_what_it_replaces() {
    const CHANGES: u64 = 200;
    let (outbox, _stream, mut client) = connected(u64::MAX).await;
    outbox.open(Bytes::from_static(b"hello"), None);
    for version in 1..=CHANGES {
        outbox.state(tag(version), update(&outbox, version, 100_000));
        outbox.send_now();
    }
    assert!(outbox.is_blocked(), "20 MB are more than a socket takes");
    let reading = tokio::spawn(async move {
        client.read_exact(&mut [0; 7]).await.expect("the greeting");
        versions(&mut client, CHANGES).await
    });
    while outbox.is_blocked() {
        assert_eq!(outbox.due().await, Due::Flush);
        outbox.flush().await.expect("the client reads");
    }
    let versions = reading.await.expect("nobody panics");
    assert!(versions.len() < CHANGES as usize);
    assert_eq!(outbox.skipped.get(), CHANGES - versions.len() as u64);
    let mut last = 0;
    for (version, skipped) in versions {
        assert_eq!(version, last + 1 + skipped);
        last = version;
    }
}

#[tokio::test]
async fn a_client_whose_socket_takes_all_gets_each_state_however_many_come_at_once() {
    const CHANGES: u64 = 1_000;
    let (outbox, _stream, mut client) = connected(u64::MAX).await;
    outbox.open(Bytes::from_static(b"hello"), None);
    for version in 1..=CHANGES {
        // Nobody has come round to send.
        outbox.state(tag(version), update(&outbox, version, 0));
    }
    outbox.send_now();
    assert!(!outbox.is_blocked());
    client.read_exact(&mut [0; 7]).await.expect("the greeting");
    for version in 1..=CHANGES {
        let mut head = [0; 2];
        client.read_exact(&mut head).await.expect("a frame");
        let mut text = vec![0; usize::from(head[1])];
        client.read_exact(&mut text).await.expect("its text");
        assert_eq!(String::from_utf8_lossy(&text), format!(r#"{{"type":"STATE_UPDATE","v":{version},"p":""}}"#));
    }
}

#[tokio::test]
async fn who_reads_nothing_is_given_up_when_all_together_wait_for_too_much() {
    let (outbox, _stream, client) = connected(1_000_000).await;
    outbox.open(Bytes::from_static(b"hello"), None);
    let elsewhere = vec![b'x'; 950_000];
    let other = QueuedMessage::new(Bytes::from(elsewhere), &outbox.budget);
    let mut version = 0;
    while !outbox.is_blocked() && version < 1_000 {
        version += 1;
        outbox.state(tag(version), update(&outbox, version, 40_000));
        outbox.send_now();
    }
    assert!(outbox.is_blocked(), "it reads nothing");
    outbox.state(tag(version + 1), update(&outbox, version + 1, 40_000));
    timeout(Duration::from_secs(5), outbox.given_up()).await.expect("there is no room");
    assert_eq!(outbox.due().await, Due::End(OutboxEnd::TooSlow));
    drop((other, client));
}
