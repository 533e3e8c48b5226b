//! A change of a session as it is published, to clients on the session's channel and to backends on the one of all
//! changes, and as it is queued for the audit. It is written where it is sent from. Does not know when it is committed.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{ChangeRecord, SessionId, StateTag, Timestamp, Uuid};
use crate::redis::{Keyspace, Pipeline};
use crate::store::Record;
use crate::wire;

/// The expected length of the envelope around a state that is published or audited.
const ENVELOPE_LEN: usize = 600;

/// A change.
pub(super) struct SessionChange {
    pub(in crate::store::redis) event: Uuid,
    /// What the state, or the deletion, is called.
    pub(in crate::store::redis) tag: StateTag,
    /// The state that it made, or ended.
    pub(in crate::store::redis) record: Arc<Record>,
    pub(super) effect: ChangeEffect,
    pub(in crate::store::redis) entry: ChangeRecord,
    /// Who asked for it.
    pub(super) actor: Option<Arc<str>>,
}

/// The outcome of a change, as it is published.
pub(super) enum ChangeEffect {
    /// A state, and these messages after it.
    State(Vec<Bytes>),
    /// A deletion, and the message that says so.
    End(Bytes),
}

impl SessionChange {
    /// Adds the commands that publish it at `now`.
    pub(in crate::store::redis) fn publish(
        &self,
        id: SessionId,
        keyspace: &Keyspace,
        now: Timestamp,
        transaction: &mut Pipeline,
    ) {
        let channel = keyspace.session_channel(id);
        let mut tell = |message: &[u8]| {
            let command = transaction.cmd(keyspace.publish()).arg(&channel);
            command.arg_with(message.len() + 150, |out| wire::publish(out, self.tag, id, message, now));
        };
        match &self.effect {
            ChangeEffect::State(notices) => {
                tell(&self.record.encoded().frame());
                notices.iter().for_each(|notice| tell(notice));
            }
            ChangeEffect::End(notice) => tell(notice),
        }
        let command = transaction.cmd(keyspace.publish()).arg(keyspace.updates_channel());
        match &self.effect {
            ChangeEffect::State(_) => {
                let body = self.record.encoded().body();
                let len = body.len() + body.len() / 8 + 100;
                command.arg_with(len, |out| wire::publish_update(out, id, &body, now))
            }
            ChangeEffect::End(_) => command.arg_with(99, |out| wire::publish_deleted(out, id, now)),
        };
    }

    /// The channels and messages that publish a deletion at `now`; none for other changes.
    pub(in crate::store::redis) fn end(
        &self,
        id: SessionId,
        keyspace: &Keyspace,
        now: Timestamp,
    ) -> Vec<(String, Vec<u8>)> {
        let (mut own, mut all) = (Vec::new(), Vec::new());
        match &self.effect {
            ChangeEffect::State(_) => return Vec::new(),
            ChangeEffect::End(notice) => wire::publish(&mut own, self.tag, id, notice, now),
        }
        wire::publish_deleted(&mut all, id, now);
        vec![(keyspace.session_channel(id), own), (keyspace.updates_channel(), all)]
    }

    /// Adds what is audited to a command; returns how many bytes that are.
    pub(in crate::store::redis) fn audit(&self, id: SessionId, command: &mut Pipeline) -> usize {
        let body = self.record.encoded().body();
        let mut len = 0;
        command.arg_with(body.len() + ENVELOPE_LEN, |out| {
            let start = out.len();
            wire::encode_job(out, self.event, id, self.tag, &self.entry, self.actor.as_deref(), &body);
            len = out.len() - start;
        });
        len
    }
}
