//! The workload of the soak test: sends every command to its sessions, models what each must come to, and checks every response
//! in full against the model. Does not know how fast, nor who watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;

use crate::generator::failure::Result;
use crate::generator::http::{Response, request};
use crate::generator::sessions::{CREATED, LONG_MS, PLAYERS, SessionIds, body, read_in_full};
use crate::generator::workload::Workload;
use test_support::dice::Dice;

/// The sessions that players and visitors share.
pub(super) struct SharedSessions {
    /// Sessions that exist, or are about to.
    ids: Mutex<Vec<String>>,
    /// How many changes were made.
    pub(super) changes: AtomicU64,
    /// Visitors whom the server refused with Retry-After.
    pub(super) sent_away: AtomicU64,
}

impl SharedSessions {
    /// The id of some player's session.
    pub(super) fn id(&self, index: usize) -> String {
        let ids = self.ids.lock();
        ids[index % ids.len()].clone()
    }
}

/// Plays the sessions of one connection.
pub(super) struct Player {
    session_ids: Arc<SessionIds>,
    shared: Arc<SharedSessions>,
    /// The index of its first session among the shared ones.
    first: usize,
    sessions: Vec<PlayerSession>,
    dice: Dice,
    /// The session and the action of the last request.
    asked: (usize, Action),
    request: Vec<u8>,
}

/// The model of a session: what its next state must show.
struct PlayerSession {
    id: String,
    stage: Stage,
    version: u64,
    /// Whose turn it is.
    turn: usize,
}

/// The stage of a session's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Absent,
    Pending,
    Running,
    Paused,
    Completed,
    Cancelled,
    Deleted,
}

/// What a player can do to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Read,
    Start,
    Switch,
    Pause,
    Resume,
    Patch,
    Complete,
    Cancel,
    Delete,
}

/// The mix of actions on a running session, in percent.
const GAME: [(u64, Action); 7] = [
    (55, Action::Switch),
    (25, Action::Read),
    (6, Action::Pause),
    (6, Action::Patch),
    (3, Action::Complete),
    (2, Action::Cancel),
    (3, Action::Delete),
];

impl Player {
    /// Players for a number of connections, and their sessions, none of which exists yet.
    pub(super) fn boxed(
        session_ids: &Arc<SessionIds>,
        connections: usize,
        sessions: usize,
    ) -> (Vec<Box<dyn Workload>>, Arc<SharedSessions>) {
        let each = (sessions / connections).max(1);
        let ids: Vec<_> = (0..each * connections).map(|_| session_ids.next_id()).collect();
        let known = |id: &String| PlayerSession { id: id.clone(), stage: Stage::Absent, version: 0, turn: 0 };
        let all: Vec<Vec<_>> = ids.chunks(each).map(|ids| ids.iter().map(known).collect()).collect();
        let shared =
            Arc::new(SharedSessions { ids: Mutex::new(ids), changes: AtomicU64::new(0), sent_away: AtomicU64::new(0) });
        let player = |(index, sessions)| {
            let (session_ids, shared) = (Arc::clone(session_ids), Arc::clone(&shared));
            let (dice, asked) = (Dice(index as u64), (0, Action::Read));
            Box::new(Self { session_ids, shared, first: index * each, sessions, dice, asked, request: Vec::new() }) as _
        };
        let players = all.into_iter().enumerate().map(player).collect();
        (players, shared)
    }

    fn choose(&mut self) -> (usize, Action) {
        let index = self.dice.below(self.sessions.len() as u64) as usize;
        let chance = self.dice.below(100);
        let action = match self.sessions[index].stage {
            Stage::Absent => Action::Create,
            Stage::Pending if chance < 90 => Action::Start,
            Stage::Running => {
                let mut left = chance;
                let action = GAME.iter().find(|(share, _)| {
                    let is_it = left < *share;
                    left = left.saturating_sub(*share);
                    is_it
                });
                action.map_or(Action::Read, |(_, action)| *action)
            }
            Stage::Paused if chance < 70 => Action::Resume,
            Stage::Completed | Stage::Cancelled if chance < 50 => Action::Delete,
            Stage::Pending | Stage::Paused | Stage::Completed | Stage::Cancelled | Stage::Deleted => Action::Read,
        };
        (index, action)
    }
}

impl Workload for Player {
    fn next(&mut self, _: Instant) -> &[u8] {
        let (index, action) = self.choose();
        self.asked = (index, action);
        let PlayerSession { id, version, .. } = &self.sessions[index];
        let path = format!("/v1/sessions/{id}");
        let act = |name: &str| request("POST", &format!("{path}/{name}"), "");
        self.request = match action {
            Action::Create => request("POST", "/v1/sessions", &body(id, LONG_MS / 2)),
            Action::Read => request("GET", &path, ""),
            Action::Start => act("start"),
            Action::Switch => act("switch"),
            Action::Pause => act("pause"),
            Action::Resume => act("resume"),
            Action::Patch => request("PATCH", &path, &format!(r#"{{"metadata":{{"seen":{version}}}}}"#)),
            Action::Complete => act("complete"),
            Action::Cancel => act("cancel"),
            Action::Delete => request("DELETE", &path, ""),
        };
        &self.request
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        let (index, action) = self.asked;
        let known = &mut self.sessions[index];
        if action != Action::Read {
            self.shared.changes.fetch_add(1, Ordering::Relaxed);
            known.version += 1;
        }
        match action {
            Action::Create => (known.stage, known.version) = (Stage::Pending, CREATED),
            Action::Start | Action::Resume => known.stage = Stage::Running,
            Action::Switch => known.turn = 1 - known.turn,
            Action::Pause => known.stage = Stage::Paused,
            Action::Complete => known.stage = Stage::Completed,
            Action::Cancel => known.stage = Stage::Cancelled,
            Action::Delete => known.stage = Stage::Deleted,
            Action::Read | Action::Patch => {}
        }
        let active = Some(PLAYERS[known.turn]);
        let (status, active) = match known.stage {
            Stage::Pending => ("pending", None),
            Stage::Running => ("running", active),
            Stage::Paused => ("paused", active),
            Stage::Completed => ("completed", None),
            Stage::Cancelled => ("cancelled", None),
            Stage::Absent | Stage::Deleted => ("deleted", None),
        };
        let expected = match (action, known.stage) {
            (Action::Create, _) => 201,
            (Action::Delete, _) => 204,
            (Action::Read, Stage::Deleted) => 404,
            _ => 200,
        };
        if response.status != expected {
            return Err(response.wrong(format_args!("{action:?} of {}, {status}: {expected} must come", known.id)));
        }
        if expected == 204 {
            return if response.body.is_empty() { Ok(()) } else { Err(response.wrong("nothing must come")) };
        }
        let json: Value = serde_json::from_slice(response.body).map_err(|error| response.wrong(error))?;
        if expected == 404 {
            if json["error"]["code"] != "SESSION_NOT_FOUND" {
                return Err(response.wrong("another error must come"));
            }
            // A new session takes its place.
            let id = self.session_ids.next_id();
            self.shared.ids.lock()[self.first + index].clone_from(&id);
            *known = PlayerSession { id, stage: Stage::Absent, version: 0, turn: 0 };
            return Ok(());
        }
        read_in_full(&json["data"], &known.id, known.version, status, active)
    }
}
