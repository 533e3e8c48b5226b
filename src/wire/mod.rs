//! All JSON: what clients send, read borrowed from the bytes they sent; what they are told, encoded once.
//! Knows the engine's words and how they are written; does not know how the bytes travel.

mod answer;
mod audited;
mod compact;
mod decimal;
mod decode;
mod format;
mod history;
mod inbound;
mod instant;
mod job;
mod json;
mod merge;
mod message;
mod metadata;
mod problems;
mod published;
mod query;
mod read;
mod request;
mod scan;
mod state;
mod stored;
mod strict;
#[cfg(test)]
mod tests;
mod write;

pub use answer::{Details, Text, degraded, error, http_error, not_ready, ready, session, switched, time};
pub use audited::{Audited, AuditedChange, AuditedParticipant, AuditedState, audited};
pub use decode::{Undecodable, decode, decode_frame, decode_sound, has_warnings};
pub use format::{FORMATS, begin, decode_archived, is_newer, modern};
pub use history::{Cursor, HistoryQuery, history, history_query, names_history};
pub use inbound::{Asked, Inbound, Order, inbound};
pub use instant::instant_text;
pub use job::{DeadJob, JobName, Told, dead_job, done_job, job, job_name, read_dead_job, read_job};
pub use message::{
    connected, deleted, expired, invalid_message, lapsed, message_error, pong, result_data, result_error, skipping,
    sync, update, warning,
};
pub use metadata::{MAX_LEN as METADATA_LEN_MAX, Merge, TooLarge};
pub use problems::{Code, Problem, Problems};
pub use published::{
    Heard, Standing, changed_at, heard, publish, publish_deleted, publish_update, published_at, standing,
};
pub use query::parameter;
pub use read::{NotJson, Object};
pub use request::{PatchRequest, SwitchRequest, create, create_with, patch, session_id, switch};
pub use state::{Encoded, encode, len_expected};
pub use stored::{EVENTS_MAX, Events, Kept, Mark, NotStored, bury, check_stored, glance, mark, read_mark, written_at};
pub use strict::{KnownFields, unknown_fields};
