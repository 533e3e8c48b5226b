//! The Redis commands that write what a batch changes of a session: in its transaction, or, on a full server, a
//! deletion by itself. Does not know what was decided.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::StateTag;
use crate::redis::{Keyspace, Pipeline};
use crate::store::redis::record_policy::{RecordPolicy, ttl_s};
use crate::store::redis::time::Reading;
use crate::wire;

use super::batch_session::BatchSession;
use super::session_change::SessionChange;

/// The expected length of a record's header.
const HEADER_LEN: usize = 450;

/// What it takes to end a session outside of a transaction.
pub(super) struct ScriptedDeletion<'s> {
    /// What is stored, as it was loaded.
    pub(in crate::store::redis) loaded: &'s Bytes,
    pub(super) tombstone: Vec<u8>,
    /// How long that is kept.
    pub(in crate::store::redis) seconds: u64,
    pub(in crate::store::redis) change: &'s SessionChange,
}

impl BatchSession {
    /// What ends it outside of a transaction, if its end is all that happens to it.
    pub(super) fn deletion(&self, records: &RecordPolicy) -> Option<ScriptedDeletion<'_>> {
        let ([change], Some(tag)) = (&self.changes[..], self.tombstone) else { return None };
        let mut tombstone = Vec::with_capacity(HEADER_LEN);
        wire::begin(records.format.of(None), &mut tombstone);
        wire::encode_tombstone(&mut tombstone, &self.header, tag);
        Some(ScriptedDeletion { loaded: &self.value, tombstone, seconds: ttl_s(records.tombstone_ttl), change })
    }

    /// Adds what commits the session to a transaction, but for what is audited.
    pub(super) fn write(
        &mut self,
        keyspace: &Keyspace,
        records: &RecordPolicy,
        run_id: &Arc<str>,
        reading: &Reading,
        transaction: &mut Pipeline,
    ) {
        let (deadlines, name) = (keyspace.deadlines(self.partition), self.id.0.text());
        let wake_at = self.record.as_ref().and_then(|record| record.wake_at());
        if !self.is_changed() {
            if self.is_discarded {
                transaction.cmd("DEL").arg(&self.key);
            }
            match wake_at {
                Some(at) => transaction.cmd("ZADD").arg(deadlines).arg(at.as_ms()).arg(name.as_slice()),
                None => transaction.cmd("ZREM").arg(deadlines).arg(name.as_slice()),
            };
            return;
        }
        let now = reading.now();
        for change in &self.changes {
            change.publish(self.id, keyspace, now, transaction);
        }
        self.header.deadline = self.record.as_ref().and_then(|record| record.deadline());
        self.header.changed_us = reading.committed_us();
        self.header.run_id = Arc::clone(run_id);
        let lifetime =
            self.record.as_ref().map_or(records.tombstone_ttl, |record| record.lifetime(&records.lifetimes, now));
        let command = transaction.cmd("SETEX").arg(&self.key).arg(ttl_s(lifetime));
        match &self.record {
            Some(record) => {
                let body = record.encoded().body();
                command.arg_with(body.len() + HEADER_LEN, |out| {
                    let start = out.len();
                    wire::begin(records.format.of(Some(record.session())), out);
                    wire::encode_header(out, &self.header);
                    self.written = Bytes::copy_from_slice(&out[start..]);
                    body.write_members(out);
                });
            }
            None => {
                let tag = self.tombstone.unwrap_or(StateTag { epoch: 0, version: 0 });
                command.arg_with(HEADER_LEN, |out| {
                    wire::begin(records.format.of(None), out);
                    wire::encode_tombstone(out, &self.header, tag);
                });
            }
        }
        match (self.indexed, wake_at) {
            (old, new) if old == new => {}
            (_, Some(wake_at)) => {
                transaction.cmd("ZADD").arg(deadlines).arg(wake_at.as_ms()).arg(name.as_slice());
            }
            (_, None) => {
                transaction.cmd("ZREM").arg(deadlines).arg(name.as_slice());
            }
        }
    }
}
