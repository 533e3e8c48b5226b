//! Text as the query of a URL: what it asks of a history is the same when it is written in the usual form, and its
//! parameters are those that a simple reader finds.

use synckairos::engine::Uuid;
use synckairos::wire::{self, Cursor, FieldProblems, HistoryQuery};

/// Reads a query.
pub(crate) fn run(input: &[u8]) {
    let Ok(query) = std::str::from_utf8(input) else { return };
    let mut problems = FieldProblems::new();
    let read = wire::history_query(query, &mut problems);
    assert_eq!(read.is_some(), problems.is_empty(), "{query}");
    if let Some(read) = read {
        assert!((1..=200).contains(&read.limit), "{query}");
        let usual = usual(&read);
        assert_eq!(wire::history_query(&usual, &mut problems), Some(read), "{query} is {usual}");
    }
    for name in ["after", "limit", "sessionId", "history"] {
        assert_eq!(wire::parameter(query, name).as_deref(), parameter(query, name).as_deref(), "{name} in {query}");
    }
    if wire::names_history(query) {
        assert!(query.contains("history=1"), "{query}");
    }
    let _ = Uuid::parse(query);
}

fn usual(read: &HistoryQuery) -> String {
    let limit = format!("limit={}", read.limit);
    let Some(Cursor { tag, told }) = read.after else { return limit };
    let told = told.map_or(String::new(), |told| format!(".{told}"));
    format!("after={}.{}{told}&{limit}", tag.epoch, tag.version)
}

/// The first parameter of a name, decoded byte by byte.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').filter(|pair| !pair.is_empty()).find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code.filter(|_| bytes[at] == b'%') {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
