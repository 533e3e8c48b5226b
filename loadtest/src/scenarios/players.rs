//! Somebody who does to some sessions everything that can be done to sessions, knows what must come of it, and reads every
//! answer in full. Does not know how fast, nor who watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;

use crate::generator::drive::Errand;
use crate::generator::failure::Result;
use crate::generator::http::{Answer, request};
use crate::generator::sessions::{CREATED, LONG_MS, Numbers, PLAYERS, body, read_in_full};
use crate::support::dice::Dice;

/// What players and visitors share.
pub(super) struct Table {
    /// Sessions that there are at the moment, or will be.
    ids: Mutex<Vec<String>>,
    /// Changes that were made of them.
    pub(super) changes: AtomicU64,
    /// Visitors who could not be let in.
    pub(super) sent_away: AtomicU64,
}

impl Table {
    /// Somebody's session.
    pub(super) fn id(&self, place: usize) -> String {
        let ids = self.ids.lock();
        ids[place % ids.len()].clone()
    }
}

/// One connection's sessions.
pub(super) struct Player {
    numbers: Arc<Numbers>,
    table: Arc<Table>,
    /// Where its sessions stand on the table.
    first: usize,
    sessions: Vec<Known>,
    dice: Dice,
    /// What was asked for last, and of which session.
    asked: (usize, Deed),
    request: Vec<u8>,
}

/// What is known of a session.
struct Known {
    id: String,
    stage: Stage,
    version: u64,
    /// Whose turn it is.
    turn: usize,
}

/// How far a session is.
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

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
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

/// What is done to a running session, out of a hundred times.
const GAME: [(u64, Deed); 7] = [
    (55, Deed::Switch),
    (25, Deed::Read),
    (6, Deed::Pause),
    (6, Deed::Patch),
    (3, Deed::Complete),
    (2, Deed::Cancel),
    (3, Deed::Delete),
];

impl Player {
    /// Players for a number of connections, and their sessions, none of which there is.
    pub(super) fn boxed(
        numbers: &Arc<Numbers>,
        connections: usize,
        sessions: usize,
    ) -> (Vec<Box<dyn Errand>>, Arc<Table>) {
        let each = (sessions / connections).max(1);
        let ids: Vec<_> = (0..each * connections).map(|_| numbers.next_id()).collect();
        let known = |id: &String| Known { id: id.clone(), stage: Stage::Absent, version: 0, turn: 0 };
        let all: Vec<Vec<_>> = ids.chunks(each).map(|ids| ids.iter().map(known).collect()).collect();
        let table = Arc::new(Table { ids: Mutex::new(ids), changes: AtomicU64::new(0), sent_away: AtomicU64::new(0) });
        let player = |(place, sessions)| {
            let (numbers, table) = (Arc::clone(numbers), Arc::clone(&table));
            let (dice, asked) = (Dice(place as u64), (0, Deed::Read));
            Box::new(Self { numbers, table, first: place * each, sessions, dice, asked, request: Vec::new() }) as _
        };
        let players = all.into_iter().enumerate().map(player).collect();
        (players, table)
    }

    fn choose(&mut self) -> (usize, Deed) {
        let place = self.dice.below(self.sessions.len() as u64) as usize;
        let chance = self.dice.below(100);
        let deed = match self.sessions[place].stage {
            Stage::Absent => Deed::Create,
            Stage::Pending if chance < 90 => Deed::Start,
            Stage::Running => {
                let mut left = chance;
                let deed = GAME.iter().find(|(share, _)| {
                    let is_it = left < *share;
                    left = left.saturating_sub(*share);
                    is_it
                });
                deed.map_or(Deed::Read, |(_, deed)| *deed)
            }
            Stage::Paused if chance < 70 => Deed::Resume,
            Stage::Completed | Stage::Cancelled if chance < 50 => Deed::Delete,
            Stage::Pending | Stage::Paused | Stage::Completed | Stage::Cancelled | Stage::Deleted => Deed::Read,
        };
        (place, deed)
    }
}

impl Errand for Player {
    fn next(&mut self, _: Instant) -> &[u8] {
        let (place, deed) = self.choose();
        self.asked = (place, deed);
        let Known { id, version, .. } = &self.sessions[place];
        let path = format!("/v1/sessions/{id}");
        let act = |name: &str| request("POST", &format!("{path}/{name}"), "");
        self.request = match deed {
            Deed::Create => request("POST", "/v1/sessions", &body(id, LONG_MS / 2)),
            Deed::Read => request("GET", &path, ""),
            Deed::Start => act("start"),
            Deed::Switch => act("switch"),
            Deed::Pause => act("pause"),
            Deed::Resume => act("resume"),
            Deed::Patch => request("PATCH", &path, &format!(r#"{{"metadata":{{"seen":{version}}}}}"#)),
            Deed::Complete => act("complete"),
            Deed::Cancel => act("cancel"),
            Deed::Delete => request("DELETE", &path, ""),
        };
        &self.request
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        let (place, deed) = self.asked;
        let known = &mut self.sessions[place];
        if deed != Deed::Read {
            self.table.changes.fetch_add(1, Ordering::Relaxed);
            known.version += 1;
        }
        match deed {
            Deed::Create => (known.stage, known.version) = (Stage::Pending, CREATED),
            Deed::Start | Deed::Resume => known.stage = Stage::Running,
            Deed::Switch => known.turn = 1 - known.turn,
            Deed::Pause => known.stage = Stage::Paused,
            Deed::Complete => known.stage = Stage::Completed,
            Deed::Cancel => known.stage = Stage::Cancelled,
            Deed::Delete => known.stage = Stage::Deleted,
            Deed::Read | Deed::Patch => {}
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
        let expected = match (deed, known.stage) {
            (Deed::Create, _) => 201,
            (Deed::Delete, _) => 204,
            (Deed::Read, Stage::Deleted) => 404,
            _ => 200,
        };
        if answer.status != expected {
            return Err(answer.wrong(format_args!("{deed:?} of {}, {status}: {expected} must come", known.id)));
        }
        if expected == 204 {
            return if answer.body.is_empty() { Ok(()) } else { Err(answer.wrong("nothing must come")) };
        }
        let json: Value = serde_json::from_slice(answer.body).map_err(|error| answer.wrong(error))?;
        if expected == 404 {
            if json["error"]["code"] != "SESSION_NOT_FOUND" {
                return Err(answer.wrong("another error must come"));
            }
            // A new session takes its place.
            let id = self.numbers.next_id();
            self.table.ids.lock()[self.first + place].clone_from(&id);
            *known = Known { id, stage: Stage::Absent, version: 0, turn: 0 };
            return Ok(());
        }
        read_in_full(&json["data"], &known.id, known.version, status, active)
    }
}
