//! Bytes as an entry of the audit queue: a job, or what was made of one. A dead letter holds its job unchanged, and those who
//! read a job agree on it.

use synckairos::engine::{ChangeKind, Timestamp};
use synckairos::wire;

/// Reads an entry.
pub(crate) fn run(job: &[u8]) {
    let header = wire::read_job_header(job);
    let row = wire::audit_row(job);
    let summary = wire::read_job(job);
    if let Ok(row) = &row {
        for participant in &row.state.participants {
            let metadata = participant.metadata();
            assert!(serde_json::from_slice::<serde_json::Value>(&metadata).is_ok(), "{metadata:?}");
        }
        assert!(serde_json::from_slice::<serde_json::Value>(&row.change.events).is_ok(), "{job:?}");
        let summary = summary.expect("a row is of a job");
        assert_eq!(summary.at, row.change.name.at, "{job:?}");
        assert_eq!(summary.is_deletion, row.change.kind == ChangeKind::SessionDeleted.name(), "{job:?}");
        assert!(row.change.name.at <= Timestamp::from_ms(253_402_300_799_999), "{job:?}");
    }
    if let Some(header) = header {
        let done = wire::encode_done_job(&header);
        assert!(serde_json::from_slice::<serde_json::Value>(&done).is_ok(), "{job:?}");
    }
    if let Ok(text) = std::str::from_utf8(job) {
        let letter = wire::encode_dead_letter(job, text, 7);
        let read = wire::read_dead_letter(&letter).expect("it was just written");
        assert_eq!((read.error.as_str(), read.attempts, read.job.as_slice()), (text, 7, job), "{text}");
    }
    if let Some(letter) = wire::read_dead_letter(job) {
        let again = wire::encode_dead_letter(&letter.job, &letter.error, letter.attempts);
        assert_eq!(wire::read_dead_letter(&again), Some(letter));
    }
}
