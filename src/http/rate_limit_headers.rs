//! The status of a rate limit, as headers (draft-ietf-httpapi-ratelimit-headers-07). Does not count.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::store::RateLimitStatus;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Adds the headers, in place of those of a wider limit.
pub(super) fn apply(headers: &mut HeaderMap, status: &RateLimitStatus) {
    let policy = format!("{};w={}", status.rate.max, status.rate.window_s);
    headers.insert(POLICY, HeaderValue::try_from(policy).expect("digits can stand in a header"));
    headers.insert(LIMIT, HeaderValue::from(status.rate.max));
    headers.insert(REMAINING, HeaderValue::from(status.remaining()));
    headers.insert(RESET, HeaderValue::from(status.reset_s));
}
