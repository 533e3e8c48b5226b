//! What a request must be beyond what hyper asks of it: for one host, and with a body that every proxy frames in the same way
//! (RFC 9112, sections 3.2 and 6.1), so that no request can be smuggled. Does not know what is asked.
//!
//! Of what is ambiguous hyper refuses lengths that differ or are no digits, codings of which the last is not `chunked`, codings
//! in HTTP/1.0, folded headers and spaces before a colon. A length beside a coding is dropped, as the standard says, and the
//! connection closes after the answer.

use hyper::Version;
use hyper::header::{HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;

use crate::problem::Problem;

/// Refuses what others on the way may have read otherwise.
pub(super) fn check(request: &Parts) -> Result<(), Problem> {
    let hosts = request.headers.get_all(HOST).iter().count();
    if hosts > 1 || hosts == 0 && request.version == Version::HTTP_11 {
        return Err(Problem::bad_request("A request has one Host"));
    }
    let mut codings = request.headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_chunked || codings.next().is_some() {
        return Err(Problem::bad_request("A body has no Transfer-Encoding other than chunked, once"));
    }
    Ok(())
}
