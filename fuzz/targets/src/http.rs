//! Bytes on a connection of the server: every answer is framed as HTTP wants it, none says that the server is at fault, and
//! what is refused is the same in whichever pieces the bytes come.

use crate::choices::Choices;
use crate::server;
use crate::websocket;

/// An answer's status, and its body as far as it says how long that is.
struct Answer<'a> {
    status: u16,
    is_json: bool,
    body: &'a [u8],
}

/// Where to cut the bytes, then the bytes.
pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let cut = choices.below(256) << 2 | choices.below(4);
    let bytes = choices.rest();
    let whole = server::answer(&[bytes]);
    let (head, tail) = bytes.split_at(cut.min(bytes.len()));
    let cut = server::answer(&[head, tail]);
    // An answer to HEAD says how long a body is that does not come.
    if bytes.windows(4).any(|window| window == b"HEAD") {
        return;
    }
    assert_eq!(refusals(&whole), refusals(&cut), "{:?} and {:?}", text(&whole), text(&cut));
}

/// The statuses of the answers, as far as they do not depend on what was asked before.
fn refusals(answers: &[u8]) -> Vec<u16> {
    let (mut rest, mut statuses) = (answers, Vec::new());
    while !rest.is_empty() {
        let (answer, after) = next(rest).unwrap_or_else(|| panic!("no answer: {:?}", text(rest)));
        rest = after;
        let known =
            [100, 101, 200, 201, 204, 304, 400, 403, 404, 405, 408, 409, 412, 413, 415, 422, 426, 428, 429, 431, 503];
        assert!(known.contains(&answer.status), "{}: {:?}", answer.status, text(answers));
        if answer.is_json {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(answer.body).is_ok();
            assert!(is_json, "{:?}", text(answer.body));
        }
        assert!(answer.status < 400 || answer.is_json, "{:?}", text(answers));
        match answer.status {
            101 => {
                websocket::check(rest);
                statuses.push(101);
                return statuses;
            }
            // Whether a body is awaited depends on whether it has come.
            100 => {}
            // Whether a session is there depends on what was asked before.
            status @ (400 | 405 | 413 | 415 | 426 | 431) => statuses.push(status),
            _ => statuses.push(0),
        }
    }
    statuses
}

/// The first answer, and what is behind it.
fn next(bytes: &[u8]) -> Option<(Answer<'_>, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let (mut len, mut is_json) = (None, false);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{line:?}");
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                assert!(len.is_none(), "{head:?}");
                len = Some(value.trim().parse::<usize>().ok()?);
            }
            "content-type" => is_json = value.contains("json"),
            "content-encoding" => is_json = false,
            "transfer-encoding" => panic!("answers have a length: {head:?}"),
            _ => {}
        }
    }
    let has_body = !matches!(status, 100..=199 | 204 | 304);
    let len = if has_body { len.unwrap_or_else(|| panic!("no length: {head:?}")) } else { 0 };
    let (body, rest) = rest.split_at_checked(len)?;
    Some((Answer { status, is_json: is_json && has_body, body }, rest))
}

/// For a person.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
