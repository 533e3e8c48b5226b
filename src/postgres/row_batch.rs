//! A batch of jobs folded into rows: each change, the newest state of each session, the newest change of each participant.
//! What a job contributes depends on that job alone, so that batches may be cut and ordered in any way. Does not know how
//! rows are written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::engine::{ChangeKind, Millis, Mode, ParticipantId, SessionId, StateTag, Timestamp};
use crate::wire::{AuditRow, ChangeColumns, ParticipantColumns, StateColumns, audit_row};

/// A change so soon after its epoch's beginning may be the epoch's first: an epoch is named by the store's time, a
/// change by that of its command.
const EPOCH_BEGINS: Millis = Millis::new(10_000);

/// Rows, in the order in which all writers lock them.
#[derive(Debug, Default)]
pub(super) struct RowBatch<'a> {
    /// In the order of the histories of their sessions.
    pub(super) changes: Vec<ChangeColumns<'a>>,
    pub(super) sessions: BTreeMap<SessionId, SessionRow<'a>>,
    pub(super) participants: BTreeMap<(SessionId, ParticipantId), ParticipantRow>,
}

/// A session's newest state.
#[derive(Debug)]
pub(super) struct SessionRow<'a> {
    pub(super) tag: StateTag,
    pub(super) at: Timestamp,
    pub(super) is_deleted: bool,
    pub(super) cycles: u64,
    pub(super) state: StateColumns<'a>,
}

/// The newest change of a participant, and the first and last instants of their turns by all jobs.
#[derive(Debug)]
pub(super) struct ParticipantRow {
    pub(super) tag: StateTag,
    pub(super) added_at: Timestamp,
    pub(super) participant: ParticipantColumns,
    pub(super) turns: TurnSpan,
}

/// The first and the last known instant of a participant's turns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TurnSpan {
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl<'a> RowBatch<'a> {
    /// The rows of the jobs; `Err` says why one of them is no job.
    pub(super) fn of(jobs: &[&'a [u8]]) -> Result<Self, String> {
        let mut batch = Self { changes: Vec::with_capacity(jobs.len()), ..Self::default() };
        for job in jobs {
            batch.add(audit_row(job)?);
        }
        batch.changes.sort_unstable_by_key(|change| (identity(change), change.name.event));
        // A job that was delivered twice is one.
        batch.changes.dedup_by_key(|change| (identity(change), change.name.event));
        match batch.changes.windows(2).find(|pair| identity(&pair[0]) == identity(&pair[1])) {
            Some(pair) => Err(format!("{} and {} have one place", pair[0].name.event, pair[1].name.event)),
            None => Ok(batch),
        }
    }

    fn add(&mut self, AuditRow { change, state }: AuditRow<'a>) {
        let (session, tag) = (change.name.session, change.name.tag);
        for participant in state.participants.iter().filter(|participant| may_concern(&change, &state, participant)) {
            let row = ParticipantRow::of(&change, &state, participant);
            match self.participants.entry((session, participant.id)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(row);
                }
                Entry::Occupied(mut occupied) => occupied.get_mut().join(row),
            }
        }
        let is_newest = self.sessions.get(&session).is_none_or(|row| row.tag < tag);
        if is_newest {
            let is_deleted = change.kind == ChangeKind::SessionDeleted.name();
            let row = SessionRow { tag, at: change.name.at, is_deleted, cycles: change.cycles, state };
            self.sessions.insert(session, row);
        }
        self.changes.push(change);
    }
}

/// The identity of a change.
fn identity(change: &ChangeColumns<'_>) -> (SessionId, StateTag, Timestamp) {
    (change.name.session, change.name.tag, change.name.at)
}

impl ParticipantRow {
    fn of(change: &ChangeColumns<'_>, state: &StateColumns<'_>, participant: &ParticipantColumns) -> Self {
        let at = change.name.at;
        let mut turns = TurnSpan::default();
        // In the state that the change made; for whom it was about, before it; and whose turn flagged, then.
        if state.active == Some(participant.id) {
            turns.add(state.active_since.unwrap_or(at), at);
        }
        if change.participant == Some(participant.id) {
            let elapsed = change.time_elapsed.unwrap_or_default();
            turns.add(Timestamp::from_ms(at.as_ms().saturating_sub(elapsed.as_ms())), at);
        }
        if let Some(flagged) = participant.expired_at {
            turns.add(flagged, flagged);
        }
        Self { tag: change.name.tag, added_at: state.created_at, participant: participant.clone(), turns }
    }

    /// Merges two changes, in either order.
    fn join(&mut self, other: Self) {
        let (mut turns, others) = (self.turns, other.turns);
        if let (Some(since), Some(until)) = (others.first, others.last) {
            turns.add(since, until);
        }
        if other.tag > self.tag {
            *self = other;
        }
        self.turns = turns;
    }
}

impl TurnSpan {
    fn add(&mut self, since: Timestamp, until: Timestamp) {
        self.first = self.first.into_iter().chain([since]).min();
        self.last = self.last.max(Some(until));
    }
}

/// Whether a change may have changed the row of a participant. A plain switch ends one turn and begins another: it concerns
/// those two participants only, and the beginning one only in their first turn, or where a new turn clears an old flag. A
/// turn that still runs is written when it ends.
fn may_concern(change: &ChangeColumns<'_>, state: &StateColumns<'_>, participant: &ParticipantColumns) -> bool {
    let is_switch = change.kind == ChangeKind::CycleSwitched.name() && change.happened == 1;
    // What an epoch before it said may have been forgotten since.
    let may_begin_epoch = change.name.at.as_ms() <= change.name.tag.epoch.saturating_add(EPOCH_BEGINS.as_ms());
    if !is_switch || may_begin_epoch || change.participant == Some(participant.id) {
        return true;
    }
    let is_remarkable = participant.cycles == 0 || state.mode == Mode::PerCycle.name();
    state.active == Some(participant.id) && is_remarkable
}
