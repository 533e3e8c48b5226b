//! The sessions of a run: their ids, the body that creates them, and their newest known versions, against which responses are
//! checked. All have two players, who take turns. Does not know how they are requested.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::failure::{Failure, Result};

/// The participants of every session.
pub(crate) const PLAYERS: [&str; 2] = ["11111111-1111-4111-8111-000000000000", "11111111-1111-4111-8111-000000000001"];
/// The version of a session that was created, and of one that was started.
pub(crate) const CREATED: u64 = 1;
pub(crate) const STARTED: u64 = 2;
/// A time so long that no clock runs out.
pub(crate) const LONG_MS: u64 = 86_400_000;

/// Sessions with consecutive ids, and the newest known version of each.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// The prefix of all ids of a run: sessions that an earlier run left do not collide with it.
    run: u32,
    /// The number of the first; the others follow.
    first: u64,
    /// The newest version of each that is known.
    versions: Vec<AtomicU64>,
}

/// Allocates session ids, none twice.
#[derive(Debug)]
pub(crate) struct SessionIds {
    run: u32,
    next: AtomicU64,
}

impl SessionIds {
    /// The ids of a run that begins now.
    pub(crate) fn new() -> Arc<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Arc::new(Self { run: (since.as_millis() as u32).rotate_left(16), next: AtomicU64::new(0) })
    }

    /// The id of the next session.
    pub(crate) fn next_id(&self) -> String {
        id(self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Allocates ids for new sessions, which no request has created yet.
    pub(crate) fn take(&self, count: usize) -> Arc<Sessions> {
        let first = self.next.fetch_add(count as u64, Ordering::Relaxed);
        Arc::new(Sessions { run: self.run, first, versions: (0..count).map(|_| AtomicU64::new(STARTED)).collect() })
    }
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.versions.len()
    }

    pub(crate) fn id(&self, index: usize) -> String {
        id(self.run, self.first + index as u64)
    }

    /// Partitions the sessions over connections.
    pub(crate) fn shares(&self, connections: usize) -> Vec<Vec<usize>> {
        (0..connections).map(|from| (from..self.len()).step_by(connections).collect()).collect()
    }

    /// The newest known version of a session.
    pub(crate) fn version(&self, index: usize) -> u64 {
        self.versions[index].load(Ordering::Relaxed)
    }

    /// Records a newer version.
    pub(crate) fn saw(&self, index: usize, version: u64) {
        self.versions[index].store(version, Ordering::Relaxed);
    }
}

fn id(run: u32, number: u64) -> String {
    format!("{run:08x}-0000-4000-8000-{number:012x}")
}

/// Whose turn it is in a version, when nothing but switches came after the start.
pub(crate) fn player(version: u64) -> &'static str {
    PLAYERS[(version % 2) as usize]
}

/// The body that creates a session.
pub(crate) fn body(id: &str, time_ms: u64) -> String {
    let players: Vec<_> = PLAYERS
        .iter()
        .enumerate()
        .map(|(index, player)| {
            format!(r#"{{"participant_id":"{player}","participant_index":{index},"total_time_ms":{time_ms}}}"#)
        })
        .collect();
    let total_ms = (2 * time_ms).min(LONG_MS);
    format!(
        r#"{{"session_id":"{id}","sync_mode":"per_participant","total_time_ms":{total_ms},"participants":[{}]}}"#,
        players.join(",")
    )
}

/// Checks all of a session, a state or the result of a switch, and says what is wrong with it.
pub(crate) fn read_in_full(data: &Value, id: &str, version: u64, status: &str, active: Option<&str>) -> Result<()> {
    let wrong =
        |what: &str| Err(Failure::wrong(format_args!("{id}, version {version}: {what}"), data.to_string().as_bytes()));
    if data["session_id"] != id {
        return wrong("another session");
    }
    if data["version"] != version {
        return wrong("another version");
    }
    if data["status"] != status {
        return wrong(&format!("it must be {status}"));
    }
    if data["active_participant_id"].as_str() != active {
        return wrong(&format!("whose turn it is: {active:?}"));
    }
    let participants = data["participants"].as_array().map(Vec::as_slice).unwrap_or_default();
    if participants.len() != PLAYERS.len() {
        return wrong("not all participants");
    }
    for (participant, player) in participants.iter().zip(PLAYERS) {
        let ms = |name: &str| participant[name].as_u64();
        if participant["participant_id"] != player {
            return wrong("another participant");
        }
        if participant["is_active"] != (active == Some(player)) {
            return wrong("who is active is not whose turn it is");
        }
        let sum = ms("time_remaining_ms").zip(ms("time_used_ms")).map(|(left, used)| left + used);
        // Earlier releases do not send the initial time.
        if sum.is_none() || ms("initial_time_ms").is_some_and(|initial| sum != Some(initial)) {
            return wrong("time was made or lost");
        }
    }
    Ok(())
}
