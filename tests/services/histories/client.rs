//! Clients that ask for something at any instance that answers, and watchers; what they are told goes into the record. Does
//! not know which faults there are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use histories::{Answer, Ask, Moves, OnTimeout, Operation, Sighting, Status, Tag, View};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use test_support::dice::Dice;
use test_support::instant;
use test_support::sessions::id;

use super::answers::{self, PARTICIPANTS, Response};
use super::record::Record;

/// A client that waits for longer takes it that nobody will answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a client waits when nobody is there.
const BACK_OFF: Duration = Duration::from_millis(10);

/// Where the instances listen now.
pub(super) type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// One client, until it is over.
pub(super) async fn play(client: u32, seed: u64, record: Arc<Record>, addresses: Addresses) {
    let mut dice = Dice(seed ^ (u64::from(client) << 32 | 0x5eed));
    let mut known: Vec<Option<View>> = vec![None; record.count() as usize];
    let mut connection: Option<TcpStream> = None;
    while !record.is_over() {
        let session = dice.below(record.count());
        let ask = choose(session, known[session as usize].as_ref(), &mut dice, &record);
        // Clients go elsewhere now and then.
        if dice.below(50) == 0 {
            connection = None;
        }
        let Some(tcp) = connect(&mut connection, &addresses, &mut dice).await else {
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        let invoked = record.now();
        let response = timeout(PATIENCE, exchange(tcp, &ask, &id(session), 1_000 + dice.below(3_000))).await;
        let returned = record.now();
        let response = response.ok().flatten();
        let answer = match &response {
            Some(response) => answers::answer(&ask, response, invoked, returned).unwrap_or_else(|complaint| {
                record.complain(format!("session {session}, {ask:?}: {complaint}"));
                Answer::Unknown
            }),
            None => Answer::Unknown,
        };
        if response.is_none() {
            connection = None;
        }
        if matches!(answer, Answer::NotDone) {
            tokio::time::sleep(BACK_OFF).await;
        }
        let operation = Operation { client, invoked, returned, ask, answer };
        match &operation.answer {
            Answer::Done(view) | Answer::Late(view) => known[session as usize] = Some(*view),
            Answer::Gone => known[session as usize] = None,
            Answer::Refused(_) | Answer::NotDone | Answer::Unknown => {
                if dice.below(3) == 0 {
                    known[session as usize] = None;
                }
            }
        }
        record.add(session, operation);
    }
}

/// What makes sense in the state that the client knows, for the most part.
fn choose(session: u64, known: Option<&View>, dice: &mut Dice, record: &Record) -> Ask {
    let on_timeout = if session.is_multiple_of(2) { OnTimeout::Expire } else { OnTimeout::Advance };
    let create = Ask::Create { participants: PARTICIPANTS, on_timeout };
    let Some(view) = known else { return if dice.below(3) == 0 { create } else { Ask::Read } };
    let expected = (dice.below(5) == 0).then_some(view.tag.version);
    let patch = Ask::Patch { mark: record.mark(), expected };
    let delete = Ask::Delete { expected: (dice.below(2) == 0).then_some(view.tag) };
    let switch = Ask::Switch(Moves {
        current: view.active.filter(|_| dice.below(3) == 0),
        next: (dice.below(6) == 0).then(|| dice.below(u64::from(PARTICIPANTS)) as u8),
        expected,
    });
    let share = dice.below(100);
    match (view.status, share) {
        (Status::Expired | Status::Completed | Status::Cancelled, ..60) => delete,
        (Status::Expired | Status::Completed | Status::Cancelled, ..70) => switch,
        (Status::Pending, ..60) => Ask::Start,
        (Status::Running, ..50) => switch,
        (Status::Paused, ..60) => Ask::Resume,
        (_, ..75) => patch,
        (_, ..88) => Ask::Read,
        (_, ..92) => Ask::Pause,
        (_, ..94) => Ask::Resume,
        (_, ..95) => Ask::Complete,
        (_, ..96) => Ask::Cancel,
        (_, ..98) => create,
        _ => delete,
    }
}

async fn connect<'c>(
    connection: &'c mut Option<TcpStream>,
    addresses: &Addresses,
    dice: &mut Dice,
) -> Option<&'c mut TcpStream> {
    if connection.is_none() {
        let address = any(addresses, dice.below(1_000));
        let tcp = timeout(PATIENCE, TcpStream::connect(address)).await.ok()?.ok()?;
        tcp.set_nodelay(true).ok()?;
        *connection = Some(tcp);
    }
    connection.as_mut()
}

/// The address of some instance.
pub(super) fn any(addresses: &Addresses, number: u64) -> SocketAddr {
    let addresses = addresses.lock();
    addresses[number as usize % addresses.len()]
}

/// One request and its response; `None` when the connection breaks.
async fn exchange(tcp: &mut TcpStream, ask: &Ask, session: &str, time_ms: u64) -> Option<Response> {
    let (method, path, body, tag) = answers::request(ask, session, time_ms);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let condition = tag.map(|Tag { epoch, version }| format!("if-match: \"{epoch}.{version}\"\r\n"));
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{}", condition.unwrap_or_default());
    tcp.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.ok()?;
    let mut read = Vec::new();
    loop {
        if let Some(response) = parse(&read) {
            return Some(response);
        }
        if tcp.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// A whole response.
fn parse(read: &[u8]) -> Option<Response> {
    let end = read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&read[..end]).ok()?.to_ascii_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let len = header("content-length").map_or(Some(0), |len| len.parse::<usize>().ok())?;
    let body = read.get(end..end + len)?;
    let tag = header("etag").and_then(|tag| tag.trim_matches('"').split_once('.'));
    let tag = tag.and_then(|(epoch, version)| Some(Tag { epoch: epoch.parse().ok()?, version: version.parse().ok()? }));
    Some(Response {
        status: head.split(' ').nth(1)?.parse().ok()?,
        tag,
        is_unsaved: header("synckairos-settled").is_some(),
        body: serde_json::from_slice(body).unwrap_or_default(),
    })
}

/// Watches one session, at one instance after the other, until it is over.
pub(super) async fn watch(session: u64, seed: u64, record: Arc<Record>, addresses: Addresses, may_go_back: bool) {
    let mut dice = Dice(seed ^ session << 16);
    while !record.is_over() {
        let url = format!("ws://{}/ws?sessionId={}", any(&addresses, dice.below(1_000)), id(session));
        let joined = timeout(PATIENCE, connect_async(url)).await;
        let Ok(Ok((mut stream, _))) = joined else {
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        let mut newest: Option<Tag> = None;
        while !record.is_over() {
            match timeout(Duration::from_millis(200), stream.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    let tag = take(session, text.as_str(), &record);
                    if let (Some(before), Some(tag)) = (newest, tag)
                        && tag < before
                        && !may_go_back
                    {
                        record.complain(format!("session {session}: a watcher went from {before:?} back to {tag:?}"));
                    }
                    newest = tag.or(newest);
                }
                Ok(Some(Ok(_))) | Err(_) => {}
                Ok(Some(Err(_)) | None) => break,
            }
        }
    }
}

/// One message; returns which state it shows.
fn take(session: u64, text: &str, record: &Record) -> Option<Tag> {
    let at = record.now();
    let message: Value = serde_json::from_str(text).expect("messages are JSON");
    if message["type"] == "TIME_EXPIRED" {
        let told = message["timestamp"].as_u64().expect("a time");
        record.late(told.saturating_sub(instant::ms(&message["expired_at"])));
    }
    let state = &message["state"];
    let tag = Tag { epoch: state["epoch"].as_u64()?, version: state["version"].as_u64()? };
    record.see(session, Sighting { at, view: answers::view(state, tag, None) });
    Some(tag)
}
