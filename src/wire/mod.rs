//! All JSON: requests, read borrowed from the bytes that clients sent, and answers and messages, encoded once.
//! Knows the engine's words and how they are written; does not know how the bytes travel.

mod audit_columns;
mod audit_job;
mod audit_row;
mod canonical;
mod claims;
mod client_message;
mod compact;
mod decimal;
mod decode;
mod format;
mod format_v1;
mod history;
mod instant;
mod json;
mod json_object;
mod json_tokens;
mod json_values;
mod jwk;
mod keys_file;
mod members;
mod merge;
mod metadata;
mod new_controls;
mod pubsub_message;
mod query;
mod record_format;
mod request;
mod response;
mod revocation;
mod scan;
mod server_message;
mod state;
mod state_body;
mod state_clock;
mod strict;
#[cfg(test)]
mod tests;
mod time_control;
mod validation;
mod write;

pub use audit_columns::{AuditRow, ChangeColumns, ParticipantColumns, StateColumns};
pub use audit_job::{
    DeadLetter, JobHeader, JobSummary, encode_dead_letter, encode_done_job, encode_job, read_dead_letter, read_job,
    read_job_header,
};
pub use audit_row::audit_row;
pub use canonical::canonical;
pub use claims::{
    GrantClaim, TokenClaims, TokenHeader, VerifiedClaims, claims_text, token_claims, token_header, token_issuer,
};
pub use client_message::{ClientCommand, ClientMessage, RequestKey, RequestedChange, read_client_message, word};
pub use decode::{Undecodable, decode, decode_frame, decode_sound, has_warnings};
pub use format::{FORMATS, TIME_CONTROLS_FORMAT, begin, decode_archived, format_of, is_newer, modern};
pub use history::{Cursor, HistoryQuery, history, history_query, names_history};
pub use instant::instant_text;
pub use json_object::{NotJson, Object};
pub use jwk::{Jwk, JwkMaterial, jwk, jwk_set};
pub use keys_file::{KeyEntry, KeyMaterial, KeysFile, api_key_entry, is_own_id, keys_file, keys_file_without};
pub use members::Malformed;
pub use metadata::{MAX_LEN as METADATA_LEN_MAX, Merge, TooLarge};
pub use pubsub_message::{
    LifetimeBasis, PubSubMessage, changed_at, lifetime_basis, publish, publish_deleted, publish_update, published_at,
    read_pubsub_message,
};
pub use query::parameter;
pub use record_format::{
    EVENTS_MAX, EventIds, KEYED_EVENTS_MAX, NotARecord, RecordBody, RecordHeader, check_record, encode_header,
    encode_tombstone, is_keyed, peek, read_header, written_at,
};
pub use request::{PatchRequest, SwitchRequest, create, create_with, patch, session_id, switch};
pub use response::{
    BodyPieces, Details, degraded, error, http_error, not_ready, ready, session, status_only, switched, time,
};
pub use revocation::{
    Revocation, RevocationRequest, RevocationTarget, read_revocation, revocation_request, revocation_text, revoked,
};
pub use server_message::{
    authenticated, connected, deleted, expired, invalid_message, lapsed, message_error, pong, result_data,
    result_error, skipping, sync, token_expiring, update, warning,
};
pub use state::{Encoded, encode, len_expected};
pub use state_body::StateBody;
pub use strict::{KnownFields, unknown_fields};
pub use time_control::{control_text, time_control};
pub use validation::{FieldProblem, FieldProblems, ProblemCode};
