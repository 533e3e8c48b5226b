//! Response checks: the status, the session, the version and whose turn it is of every response, and one in [`FULL_EVERY`] in
//! full. Does not know what was requested.

use serde_json::Value;

use super::failure::Result;
use super::http::Response;
use super::scan;
use super::sessions::{self, CREATED};

/// One in so many responses is parsed: reading all of it costs more than the server needs to write it.
const FULL_EVERY: u64 = 64;
/// How far from its ends a response is searched, in bytes.
pub(super) const NEAR: usize = 220;

/// Checks responses, one in [`FULL_EVERY`] in full, the first of a connection among them.
#[derive(Default)]
pub(super) struct Checks(u64);

impl Checks {
    /// Checks the state of a session that was only started and switched.
    pub(super) fn check_state(&mut self, response: &Response<'_>, status: u16, id: &str, version: u64) -> Result<()> {
        let head = &response.body[..response.body.len().min(NEAR)];
        let is_right = is_at(head, b"\"session_id\":\"", id)
            && scan::after(head, b"\"version\":").and_then(scan::number) == Some(version);
        let active = (version > CREATED).then(|| sessions::player(version));
        self.check(response, is_right, Expected { status, id, version, active })
    }

    /// Checks the result of a switch.
    pub(super) fn check_switch(&mut self, response: &Response<'_>, id: &str, version: u64) -> Result<()> {
        let (head, tail) = (response.body.len().min(NEAR), response.body.len().saturating_sub(NEAR));
        let (head, tail) = (&response.body[..head], &response.body[tail..]);
        let active = sessions::player(version);
        let is_right = is_at(head, b"\"session_id\":\"", id)
            && is_at(head, b"\"active_participant_id\":\"", active)
            && scan::after_last(tail, b"\"version\":").and_then(scan::number) == Some(version);
        self.check(response, is_right, Expected { status: 200, id, version, active: Some(active) })
    }

    /// A response that looks right is read in full now and then; one that does not may have its members in another order.
    fn check(&mut self, response: &Response<'_>, looks_right: bool, expected: Expected<'_>) -> Result<()> {
        let Expected { status, id, version, active } = expected;
        if response.status != status {
            return Err(response.wrong(format_args!("{id} must come with {status} in version {version}")));
        }
        self.0 += 1;
        if looks_right && self.0 % FULL_EVERY != 1 {
            return Ok(());
        }
        let json: Value = serde_json::from_slice(response.body).map_err(|error| response.wrong(error))?;
        let state = if active.is_some() { "running" } else { "pending" };
        sessions::read_in_full(&json["data"], id, version, state, active)
    }
}

/// What a response must say.
struct Expected<'e> {
    status: u16,
    id: &'e str,
    version: u64,
    /// Whose turn it is.
    active: Option<&'e str>,
}

fn is_at(bytes: &[u8], name: &[u8], value: &str) -> bool {
    scan::after(bytes, name).is_some_and(|rest| rest.starts_with(value.as_bytes()))
}
