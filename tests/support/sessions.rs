//! Sessions to create, as a client writes them.

use serde_json::{Value, json};

/// A session id that no other test uses: `n` in a name space of the caller's line.
pub(crate) fn id(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// The id of the `n`th participant.
pub(crate) fn participant(n: u64) -> String {
    format!("11111111-1111-4111-8111-{n:012x}")
}

/// A body that creates a session of two participants with `time_ms` each.
pub(crate) fn two_players(id: &str, time_ms: u64) -> Value {
    json!({
        "session_id": id,
        "sync_mode": "per_participant",
        "total_time_ms": 2 * time_ms,
        "participants": [
            {"participant_id": participant(0), "participant_index": 0, "total_time_ms": time_ms},
            {"participant_id": participant(1), "participant_index": 1, "total_time_ms": time_ms},
        ],
    })
}
