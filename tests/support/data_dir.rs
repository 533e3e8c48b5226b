//! Servers that keep sessions in a directory, and what is in it. Does not know what happens to them.

use std::time::Duration;

use serde_json::Value;
use synckairos::clock::Clock;
use synckairos::engine::{SessionId, StateTag, Uuid};
use synckairos::store::file::DataDir;
use synckairos::store::{ArchivedChange, Metrics, PageLimit};

use crate::directory::Directory;
use crate::http::Answer;
use crate::program::Program;

/// A time that no test waits for.
pub const HOUR: u64 = 3_600_000;

/// A server on a directory.
pub fn start(directory: &Directory) -> Program {
    Program::start(&settings(directory))
}

pub fn settings(directory: &Directory) -> [(&str, &str); 2] {
    [("DATA_DIR", directory.text()), ("RATE_LIMIT_SWITCH", "0")]
}

/// Epoch and version, as an answer names them.
pub fn tag(answer: &Answer) -> StateTag {
    let tag = answer.header("etag").and_then(|tag| tag.trim_matches('"').split_once('.')).expect("a tag");
    StateTag { epoch: tag.0.parse().expect("an epoch"), version: tag.1.parse().expect("a version") }
}

/// Epoch and version in a state.
pub fn tag_of(state: &Value) -> StateTag {
    let number = |name: &str| state[name].as_u64().unwrap_or_else(|| panic!("no {name}: {state}"));
    StateTag { epoch: number("epoch"), version: number("version") }
}

/// The whole history of a session, in a directory that no process has.
pub async fn history(directory: &Directory, id: &str) -> Vec<ArchivedChange> {
    let data = DataDir::open(directory.path(), Clock::system(), Duration::from_secs(20), Metrics::default());
    let data = data.expect("nobody has it");
    let id = SessionId(Uuid::parse(id).expect("an id"));
    let archive = data.archive();
    let changes = archive
        .changes(id, None, PageLimit { changes: usize::MAX, bytes: usize::MAX })
        .await
        .expect("it can be read")
        .changes;
    let newest = archive.newest(id).await.expect("it can be read");
    assert_eq!(newest.as_ref().map(|newest| newest.tag), changes.last().map(|change| change.tag));
    if let (Some(newest), Some(last)) = (newest, changes.last()) {
        let job: Value = serde_json::from_slice(&last.job).expect("a job is JSON");
        let state: Value = serde_json::from_slice(&newest.state).expect("a state is JSON");
        assert_eq!((&job["state"], newest.is_deleted), (&state, last.is_deletion));
        let middle = changes[changes.len() / 2].tag;
        let room = PageLimit { changes: 3, bytes: usize::MAX };
        let later = archive.changes(id, Some(middle.into()), room).await.expect("it can be read").changes;
        let expected: Vec<_> = changes.iter().filter(|change| change.tag > middle).take(3).cloned().collect();
        assert_eq!(later, expected);
    }
    assert!(data.close().await);
    changes
}
