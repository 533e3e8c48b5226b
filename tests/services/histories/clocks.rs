//! Clocks that nobody stops: sessions of one participant that run out while everything fails, each with a client that waits
//! to be told so. Does not know what fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use test_support::http::Connection;
use test_support::instant;
use test_support::sessions::{id, participant};

use super::client::{Addresses, any};
use super::record::Record;

const LENGTH_MS: u64 = 1_000;
/// How long a client waits: longer than any fault lasts.
const PATIENCE: Duration = Duration::from_secs(15);
/// Those of clients that all want the same ones have smaller numbers.
const FIRST: u64 = 1_000_000;

/// One clock after the other, until it is over.
pub(super) async fn run_out(place: u64, record: Arc<Record>, addresses: Addresses) {
    let mut number = FIRST * (1 + place);
    while !record.is_over() {
        number += 1;
        let address = any(&addresses, number);
        if timeout(PATIENCE, one(number, address, &record)).await.ok().flatten().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// One clock; `None` when its client was cut off, or its session could not be started.
async fn one(number: u64, address: SocketAddr, record: &Record) -> Option<()> {
    let session = id(number);
    let (mut stream, _) = connect_async(format!("ws://{address}/ws?sessionId={session}")).await.ok()?;
    let body = json!({
        "session_id": session,
        "sync_mode": "per_participant",
        "total_time_ms": LENGTH_MS,
        "participants": [{"participant_id": participant(0), "participant_index": 0, "total_time_ms": LENGTH_MS}],
    });
    let mut client = Connection::try_open(address).await?;
    ask(&mut client, "/v1/sessions", &body.to_string()).await?;
    ask(&mut client, &format!("/v1/sessions/{session}/start"), "").await?;
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(text.as_str()).expect("messages are JSON");
        if message["type"] == "TIME_EXPIRED" {
            let (told, ended) = (message["timestamp"].as_u64()?, instant::ms(&message["expired_at"]));
            match told.checked_sub(ended) {
                Some(late) => record.late(late),
                None => record.complain(format!("session {session}: told {} ms early", ended - told)),
            }
            return Some(());
        }
    }
    None
}

async fn ask(client: &mut Connection, path: &str, body: &str) -> Option<()> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    client.send(head.as_bytes()).await;
    let answer = client.answer(false).await?;
    matches!(answer.status, 200 | 201).then_some(())
}
