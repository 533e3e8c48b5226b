//! What a client sends on a WebSocket: whatever it is, the server's frames are those of RFC 6455, each message is JSON of a
//! known type, and nobody is answered who did not ask.

use serde::Deserialize;
use std::borrow::Cow;

use crate::choices::Choices;
use crate::server;

const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

/// A session is made anew for each input: what is created before can have ended.
const PREPARATION: &str = "DELETE /v1/sessions/550e8400-e29b-41d4-a716-446655440000 HTTP/1.1\r\nhost: x\r\n\r\n\
    POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: 329\r\n\r\n\
    {\"session_id\":\"550e8400-e29b-41d4-a716-446655440000\",\"sync_mode\":\"per_participant\",\"total_time_ms\":600000,\"participants\":[\
    {\"participant_id\":\"11111111-1111-4111-8111-000000000000\",\"participant_index\":0,\"total_time_ms\":300000},\
    {\"participant_id\":\"11111111-1111-4111-8111-000000000001\",\"participant_index\":1,\"total_time_ms\":300000}]}";

/// Frames, each as a byte that says what it is and a line; or bytes as they are.
pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let is_raw = choices.below(8) == 7;
    let mut sent = format!(
        "GET /ws?sessionId={ID} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    if is_raw {
        sent.extend(choices.rest());
    }
    while !choices.is_over() {
        let first = choices.byte();
        frame(if first.is_ascii_graphic() { 0x81 } else { first }, choices.line(), &mut sent);
    }
    let prepared = server::answer(&[PREPARATION.as_bytes()]);
    let is_created = prepared.windows(12).any(|window| window == b"HTTP/1.1 201");
    assert!(is_created, "{:?}", String::from_utf8_lossy(&prepared));
    let answer = server::answer(&[&sent]);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("the handshake is answered");
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{:?}", String::from_utf8_lossy(&answer));
    check(&answer[end + 4..]);
}

/// A client's frame, masked with zeros.
fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
}

/// Looks at all that the server sent behind its handshake.
pub(crate) fn check(frames: &[u8]) {
    let (mut rest, mut count) = (frames, 0);
    while let Some((first, payload, after)) = next(rest) {
        rest = after;
        match first {
            0x81 => message(payload, count),
            0x88 => {
                let reason = payload.get(2..).unwrap_or_default();
                assert!(payload.len() != 1 && std::str::from_utf8(reason).is_ok(), "{payload:?}");
            }
            0x89 | 0x8a => assert!(payload.len() <= 125, "{payload:?}"),
            _ => panic!("a frame begins with {first:#x}"),
        }
        count += 1;
    }
    // A client that has gone is not told the rest.
}

fn message(payload: &[u8], count: usize) {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    let text = std::str::from_utf8(payload).expect("a message is text");
    let told: Told<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let known = [
        "CONNECTED",
        "STATE_SYNC",
        "STATE_UPDATE",
        "PONG",
        "RESULT",
        "ERROR",
        "TIME_EXPIRED",
        "TIME_WARNING",
        "SESSION_DELETED",
    ];
    assert!(known.contains(&&*told.kind), "{text}");
    assert!(count > 0 || ["CONNECTED", "ERROR"].contains(&&*told.kind), "{text}");
}

/// The first byte of the next frame, its payload, and what is behind it; `None` when it is cut off.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, len], rest) = bytes.split_first_chunk::<2>()?;
    assert_eq!(len & 0x80, 0, "servers do not mask");
    let (len, rest) = match len {
        126 => rest.split_first_chunk::<2>().map(|(len, rest)| (u64::from(u16::from_be_bytes(*len)), rest))?,
        127 => rest.split_first_chunk::<8>().map(|(len, rest)| (u64::from_be_bytes(*len), rest))?,
        len => (u64::from(len), rest),
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((first, payload, rest))
}
