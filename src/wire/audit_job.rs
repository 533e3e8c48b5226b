//! A change as it is written into the audit: one JSON object that says everything, so that its writer needs nothing else. Does not know how it gets there.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::{ChangeKind, ChangeRecord, Event, SessionId, StateTag, Timestamp, Uuid};

use super::scan::Scan;
use super::state_body::StateBody;
use super::write::Write;

/// What an archive has to know of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobSummary<'a> {
    /// When the change was made.
    pub at: Timestamp,
    /// It deleted the session.
    pub is_deletion: bool,
    /// The state that it made, or ended: a JSON object.
    pub state: &'a [u8],
}

/// Reads a job as [`encode_job`] wrote it; `None` when it is none.
pub fn read_job(job: &[u8]) -> Option<JobSummary<'_>> {
    #[derive(Deserialize)]
    struct JobSummaryJson<'a> {
        event_type: &'a str,
        timestamp_ms: u64,
        #[serde(borrow)]
        state: &'a RawValue,
    }
    let written: JobSummaryJson<'_> = serde_json::from_slice(job).ok()?;
    Some(JobSummary {
        at: Timestamp::from_ms(written.timestamp_ms),
        is_deletion: written.event_type == ChangeKind::SessionDeleted.name(),
        state: written.state.get().as_bytes(),
    })
}

/// The change `event`, which made the state `tag` with this body; `actor` asked for it.
pub fn encode_job(
    out: &mut Vec<u8>,
    event: Uuid,
    id: SessionId,
    tag: StateTag,
    entry: &ChangeRecord,
    actor: Option<&str>,
    body: &StateBody,
) {
    out.raw(r#"{"event_id":"#);
    out.uuid(event);
    out.raw(r#","session_id":"#);
    out.uuid(id.0);
    out.raw(r#","epoch":"#);
    out.number(tag.epoch);
    out.raw(r#","version":"#);
    out.number(tag.version);
    out.raw(r#","event_type":""#);
    out.raw(entry.kind.name());
    out.raw(r#"","timestamp_ms":"#);
    out.number(entry.at.as_ms());
    if let Some(participant) = entry.participant {
        out.raw(r#","participant_id":"#);
        out.uuid(participant.0);
    }
    if let Some(group) = entry.group {
        out.raw(r#","group_id":"#);
        out.uuid(group.0);
    }
    if let Some(remaining) = entry.time_remaining {
        out.raw(r#","time_remaining_ms":"#);
        out.millis(remaining);
    }
    if let Some(elapsed) = entry.time_elapsed {
        out.raw(r#","time_elapsed_ms":"#);
        out.millis(elapsed);
    }
    if let Some(actor) = actor {
        out.raw(r#","actor":"#);
        out.string(actor);
    }
    out.raw(r#","cycle_number":"#);
    out.number(entry.cycles);
    out.raw(r#","events":["#);
    for (position, event) in entry.events.iter().enumerate() {
        if position > 0 {
            out.raw(",");
        }
        write_event(out, event);
    }
    out.raw(r#"],"state":"#);
    body.write_object(out);
    out.raw("}");
}

fn write_event(out: &mut Vec<u8>, event: &Event) {
    out.raw(r#"{"event":""#);
    match event {
        Event::Created => out.raw(r#"created"}"#),
        Event::Started { to } => {
            out.raw(r#"started","participant_id":"#);
            out.uuid(to.0);
            out.raw("}");
        }
        Event::Switched { from, to } => {
            out.raw(r#"switched","from_participant_id":"#);
            out.uuid(from.0);
            out.raw(r#","to_participant_id":"#);
            out.uuid_or_null(to.map(|to| to.0));
            out.raw("}");
        }
        Event::Paused => out.raw(r#"paused"}"#),
        Event::Resumed => out.raw(r#"resumed"}"#),
        Event::ParticipantExpired { participant, at } => {
            out.raw(r#"participant_expired","participant_id":"#);
            out.uuid(participant.0);
            out.raw(r#","expired_at":"#);
            out.instant(*at);
            out.raw("}");
        }
        Event::RoundsExpired { rounds, until } => {
            out.raw(r#"rounds_expired","rounds":"#);
            out.number(*rounds);
            out.raw(r#","expired_at":"#);
            out.instant(*until);
            out.raw("}");
        }
        Event::ParticipantRevived { participant } => {
            out.raw(r#"participant_revived","participant_id":"#);
            out.uuid(participant.0);
            out.raw("}");
        }
        Event::SessionExpired { at } => {
            out.raw(r#"session_expired","expired_at":"#);
            out.instant(*at);
            out.raw("}");
        }
        Event::Completed => out.raw(r#"completed"}"#),
        Event::Cancelled => out.raw(r#"cancelled"}"#),
        Event::Updated => out.raw(r#"updated"}"#),
        Event::Deleted => out.raw(r#"deleted"}"#),
        Event::Recovered => out.raw(r#"recovered"}"#),
    }
}

/// A job's ids and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobHeader {
    /// The change.
    pub event: Uuid,
    /// Whose.
    pub session: SessionId,
    /// The state that it made.
    pub tag: StateTag,
    /// When it was judged.
    pub at: Timestamp,
}

/// Reads the header at the beginning of a job as [`encode_job`] wrote it; `None` when it is no job.
pub fn read_job_header(job: &[u8]) -> Option<JobHeader> {
    let mut scan = Scan(job);
    scan.literal(br#"{"event_id":"#)?;
    let event = scan.uuid()?;
    scan.literal(br#","session_id":"#)?;
    let session = SessionId(scan.uuid()?);
    scan.literal(br#","epoch":"#)?;
    let epoch = scan.number()?;
    scan.literal(br#","version":"#)?;
    let version = scan.number()?;
    scan.find(br#","timestamp_ms":"#)?;
    Some(JobHeader { event, session, tag: StateTag { epoch, version }, at: Timestamp::from_ms(scan.number()?) })
}

/// A poison job that was put aside, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The error of the last attempt.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The job, as it was.
    pub job: Vec<u8>,
}

/// A dead letter as it is stored.
pub fn encode_dead_letter(job: &[u8], error: &str, attempts: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(job.len() + error.len() + 60);
    out.raw(r#"{"error":"#);
    out.string(error);
    out.raw(r#","attempts":"#);
    out.number(u64::from(attempts));
    out.raw(r#","job":"#);
    // Bytes that are no object from the first to the last become a string, so that the letter stays JSON and they stay what
    // they are.
    let is_object = job.starts_with(b"{") && job.ends_with(b"}") && serde_json::from_slice::<&RawValue>(job).is_ok();
    if is_object {
        out.extend_from_slice(job)
    } else {
        out.string(&String::from_utf8_lossy(job))
    }
    out.raw("}");
    out
}

/// Reads a dead letter.
pub fn read_dead_letter(entry: &[u8]) -> Option<DeadLetter> {
    #[derive(Deserialize)]
    struct DeadLetterJson<'a> {
        error: String,
        attempts: u32,
        #[serde(borrow)]
        job: &'a RawValue,
    }
    let kept: DeadLetterJson<'_> = serde_json::from_slice(entry).ok()?;
    let text: Option<String> = serde_json::from_str(kept.job.get()).ok();
    let job = text.map_or_else(|| kept.job.get().as_bytes().to_vec(), String::into_bytes);
    Some(DeadLetter { error: kept.error, attempts: kept.attempts, job })
}

/// A job that was written, as it is remembered for a while.
pub fn encode_done_job(name: &JobHeader) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    out.raw(r#"{"event_id":"#);
    out.uuid(name.event);
    out.raw(r#","session_id":"#);
    out.uuid(name.session.0);
    out.raw(r#","epoch":"#);
    out.number(name.tag.epoch);
    out.raw(r#","version":"#);
    out.number(name.tag.version);
    out.raw("}");
    out
}
