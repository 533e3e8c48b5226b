//! Request ids, for logs and for the client: the client's own, or one that is made. Does not know what is asked.
//!
//! Every answer has one, and most clients give none: ids that are made share a buffer, so that a request does not ask the heap
//! for its own.

use bytes::{BufMut, BytesMut};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::random;

/// Names a request, in both directions.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest name that a client may give.
const LEN_MAX: usize = 64;
/// The length of one that is made.
const MADE_LEN: usize = 16;
/// How many are made in one buffer.
const BUFFERED: usize = 16;

/// Names the requests of one connection.
#[derive(Debug)]
pub(super) struct RequestIds {
    next: u64,
    buffer: BytesMut,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self { next: random::bits(), buffer: BytesMut::new() }
    }

    /// The client's own id of a request, or one that is made.
    pub(super) fn of(&mut self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(X_REQUEST_ID).filter(|given| is_fit(given.as_bytes())) {
            Some(given) => given.clone(),
            None => self.made(),
        }
    }

    /// An id that no other request has.
    pub(super) fn made(&mut self) -> HeaderValue {
        self.next = self.next.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = mixed(self.next);
        if self.buffer.capacity() < MADE_LEN {
            self.buffer.reserve(MADE_LEN * BUFFERED);
        }
        self.buffer.put_slice(&hex(bits));
        HeaderValue::from_maybe_shared(self.buffer.split().freeze()).expect("digits can stand in a header")
    }
}

/// The sixteen digits of a number, all of them at once: each half byte becomes a byte, and those above nine move on to
/// the letters.
fn hex(bits: u64) -> [u8; MADE_LEN] {
    const LOW: u128 = u128::from_ne_bytes([0x0f; 16]);
    const ONES: u128 = u128::from_ne_bytes([0x01; 16]);
    let mut spread = u128::from(bits);
    for (shift, mask) in [
        (32, 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff),
        (16, 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff),
        (4, LOW),
    ] {
        spread = (spread | spread << shift) & mask;
    }
    let letters = (spread + ONES * 6) >> 4 & ONES;
    (spread + ONES * u128::from(b'0') + letters * u128::from(b'a' - b'9' - 1)).to_be_bytes()
}

/// Numbers in a row become such that look like nothing (splitmix64, which maps no two to one).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn is_fit(given: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=LEN_MAX).contains(&given.len()) && given.iter().all(is_plain)
}

/// The trace that a request is a part of (W3C Trace Context).
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get(TRACEPARENT)?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, len| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        digits && text.len() == len
    };
    let is_whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let is_right = version != "ff" && (version != "00" || parts.next().is_none());
    let is_set = [trace, parent].iter().all(|id| id.bytes().any(|byte| byte != b'0'));
    (is_whole && is_right && is_set).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::{RequestIds, TRACEPARENT, X_REQUEST_ID, hex, trace_id};
    use hyper::header::{HeaderMap, HeaderValue};
    use std::collections::HashSet;

    #[test]
    fn a_name_is_taken_or_made() {
        let mut ids = RequestIds::new();
        let long = "x".repeat(65);
        for (given, is_taken) in [
            ("a", true),
            ("Az09._-", true),
            (&long[..64], true),
            (&long, false),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("a\"b", false),
        ] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(given).expect(given))]);
            assert_eq!(ids.of(&headers) == given, is_taken, "{given:?}");
        }
        let made: HashSet<_> = (0..1_000).map(|_| ids.of(&HeaderMap::new())).collect();
        assert_eq!(made.len(), 1_000);
        assert!(made.iter().all(|id| id.len() == 16 && id.as_bytes().iter().all(u8::is_ascii_hexdigit)));
    }

    #[test]
    fn numbers_are_written_in_hexadecimal_digits() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 0x9a9a_9a9a_9a9a_9a9a, u64::MAX] {
            assert_eq!(hex(number), format!("{number:016x}").as_bytes(), "{number:x}");
        }
    }

    #[test]
    fn a_trace_is_read_as_the_standard_says() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (value, is_read) in [
            (format!("00-{TRACE}-00f067aa0ba902b7-01"), true),
            (format!("01-{TRACE}-00f067aa0ba902b7-01-more"), true),
            (format!("00-{TRACE}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{TRACE}-00f067aa0ba902b7-01"), false),
            (format!("00-{TRACE}-0000000000000000-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()), false),
            (TRACE.to_owned(), false),
        ] {
            let headers = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_str(&value).expect("ASCII"))]);
            assert_eq!(trace_id(&headers), is_read.then_some(TRACE), "{value}");
        }
    }
}
