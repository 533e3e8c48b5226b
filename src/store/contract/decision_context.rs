//! What a decision is based on, and the one way in which every backend finds that out: the instant at which a command is
//! judged, the epoch of the next state, and whether the sender could know the state. Pure. Does not know commands, nor
//! where a session is stored.

use std::sync::Arc;

use crate::clock::Moment;
use crate::engine::{StateTag, Timestamp};
use crate::store::arrival::Arrival;
use crate::store::record::Record;

use super::origin::Repetition;

/// What a decision is based on.
#[derive(Clone, Copy, Debug)]
pub struct DecisionContext<'a> {
    /// The state; `None` when there is no such session.
    pub record: Option<&'a Arc<Record>>,
    /// The epoch of the next state: the session's, or, of a session that is to be created, the least one that the id has
    /// not had yet. A store that may have lost states begins a new one.
    pub epoch: u64,
    /// The instant at which the command is judged.
    pub at: Timestamp,
    /// The server clock's time.
    pub now: Timestamp,
    /// Whether the state was committed after the command arrived, so that its sender could not know it.
    pub changed_since_arrival: bool,
    /// Whether the command was carried out before.
    pub repetition: Repetition,
    /// The stored bytes are no state: there is no session, but a decision may replace or discard them.
    pub is_unreadable: bool,
}

/// What a backend finds of a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum StoredSession<'a> {
    /// A state.
    State(&'a Arc<Record>),
    /// The tombstone of a deleted session.
    Tombstone(StateTag),
    /// Bytes that are no state.
    Unreadable,
    /// Nothing.
    Absent,
}

/// A session as a backend finds it when a command is to be judged.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct DecisionBasis<'a> {
    pub(in crate::store) stored: StoredSession<'a>,
    /// Whether newer states may have been lost, so that their versions must not be given out again.
    pub(in crate::store) may_be_behind: bool,
    /// The server clock's time.
    pub(in crate::store) now: Timestamp,
}

/// When a command arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct ArrivedAt {
    /// By this process's monotonic clock.
    pub(in crate::store) moment: Moment,
    /// By the server clock.
    pub(in crate::store) server_us: u64,
}

/// When a stored state was committed, as exactly as a backend knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum CommittedAt {
    /// Just now, in the same batch.
    ThisBatch,
    /// By this process's monotonic clock.
    Moment(Moment),
    /// By the server clock, at the latest.
    ServerUs(u64),
}

impl<'a> DecisionBasis<'a> {
    /// The deadline of the stored session, if it has passed: the commands that arrived before it are judged first
    /// ([`Arrivals::must_wait`](crate::store::Arrivals::must_wait)).
    #[inline]
    pub(in crate::store) fn passed_deadline(&self) -> Option<Timestamp> {
        let deadline = self.record()?.deadline()?;
        (deadline <= self.now).then_some(deadline)
    }

    /// The context of a command that arrived at `arrived`; `None` for what no client asked for.
    #[inline]
    pub(in crate::store) fn context(
        self,
        arrived: Option<ArrivedAt>,
        committed: impl FnOnce() -> Option<CommittedAt>,
    ) -> DecisionContext<'a> {
        let record = self.record();
        let arrived_at = arrived.map_or(self.now, |arrived| Timestamp::from_ms(arrived.server_us / 1_000));
        let last_change = record.map_or(Timestamp::default(), |record| record.session().updated_at);
        let changed_since_arrival = arrived.is_some_and(|arrived| match committed() {
            Some(CommittedAt::ThisBatch) => true,
            Some(CommittedAt::Moment(moment)) => moment > arrived.moment,
            Some(CommittedAt::ServerUs(us)) => us > arrived.server_us,
            None => false,
        });
        DecisionContext {
            record,
            epoch: self.epoch(),
            at: arrived_at.max(last_change),
            now: self.now,
            changed_since_arrival,
            repetition: Repetition::New,
            is_unreadable: matches!(self.stored, StoredSession::Unreadable),
        }
    }

    fn record(&self) -> Option<&'a Arc<Record>> {
        match self.stored {
            StoredSession::State(record) => Some(record),
            StoredSession::Tombstone(_) | StoredSession::Unreadable | StoredSession::Absent => None,
        }
    }

    /// The epoch of the next state.
    fn epoch(&self) -> u64 {
        let (own, least) = match self.stored {
            StoredSession::State(record) => (record.session().epoch, record.session().epoch),
            StoredSession::Tombstone(tag) => (tag.epoch, tag.epoch + 1),
            // It may have had any epoch.
            StoredSession::Unreadable => return self.now.as_ms(),
            StoredSession::Absent => return 0,
        };
        if self.may_be_behind { self.now.as_ms().max(own + 1) } else { least }
    }
}

impl ArrivedAt {
    /// The arrival by a server clock that is this process's own.
    pub(in crate::store) fn by_own_clock(arrival: &Arrival) -> Self {
        Self { moment: arrival.moment(), server_us: arrival.at().as_ms() * 1_000 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{ArrivedAt, CommittedAt, DecisionBasis, DecisionContext, StoredSession};
    use crate::clock::Clock;
    use crate::engine::{
        Command, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Precondition, SessionId, StateTag,
        Timestamp, Uuid, judge,
    };
    use crate::store::Record;

    const EPOCH: u64 = 7;
    const STARTED: Timestamp = Timestamp::from_ms(4_000);
    const DEADLINE: Timestamp = Timestamp::from_ms(4_600);

    /// A session of epoch 7 that was started at 4,000 and whose clock flags at 4,600.
    fn running() -> Arc<Record> {
        let participant = |n: u64| NewParticipant {
            id: ParticipantId(Uuid::from_bits(u128::from(n))),
            index: n,
            total_time: Millis::new(600),
            group: None,
        };
        let new = NewSession {
            id: SessionId(Uuid::from_bits(1)),
            mode: Mode::PerParticipant,
            participants: vec![participant(0), participant(1)],
            groups: Vec::new(),
            total_time: Millis::new(600),
            time_per_cycle: None,
            increment: Millis::ZERO,
            max_time: None,
            on_timeout: OnTimeout::Expire,
            warn_at: [].into(),
            metadata: None,
            controls: None,
        };
        let session = new.create(EPOCH, STARTED);
        Arc::new(Record::read(judge(&session, &Command::Start, &Precondition::default(), STARTED).session))
    }

    fn context(stored: StoredSession<'_>, may_be_behind: bool, now_ms: u64) -> DecisionContext<'_> {
        DecisionBasis { stored, may_be_behind, now: Timestamp::from_ms(now_ms) }.context(None, || None)
    }

    #[test]
    fn the_next_epoch_is_the_states_own_or_one_that_the_id_has_not_had() {
        let record = running();
        let state = StoredSession::State(&record);
        let tombstone = StoredSession::Tombstone(StateTag { epoch: EPOCH, version: 3 });
        for (stored, may_be_behind, now_ms, expected) in [
            (state, false, 5_000, EPOCH),
            (state, true, 5_000, 5_000),
            (state, true, 5, EPOCH + 1),
            (tombstone, false, 5_000, EPOCH + 1),
            (tombstone, true, 5_000, 5_000),
            (tombstone, true, 5, EPOCH + 1),
            (StoredSession::Unreadable, false, 5_000, 5_000),
            (StoredSession::Absent, false, 5_000, 0),
            (StoredSession::Absent, true, 5_000, 0),
        ] {
            let context = context(stored, may_be_behind, now_ms);
            assert_eq!(context.epoch, expected, "{stored:?} {may_be_behind} {now_ms}");
            assert_eq!(context.record.is_some(), matches!(stored, StoredSession::State(_)));
            assert_eq!(context.is_unreadable, matches!(stored, StoredSession::Unreadable));
        }
    }

    #[test]
    fn a_command_is_judged_at_its_arrival_but_not_before_the_last_change() {
        let (record, moment) = (running(), Clock::system().moment());
        let now = Timestamp::from_ms(5_000);
        for (stored, arrived_us, expected) in [
            (StoredSession::State(&record), Some(4_500_999), 4_500),
            (StoredSession::State(&record), Some(3_999_999), 4_000),
            (StoredSession::State(&record), None, 5_000),
            (StoredSession::Absent, Some(3_999_999), 3_999),
            (StoredSession::Absent, None, 5_000),
        ] {
            let arrived = arrived_us.map(|server_us| ArrivedAt { moment, server_us });
            let context = DecisionBasis { stored, may_be_behind: false, now }.context(arrived, || None);
            assert_eq!((context.at, context.now), (Timestamp::from_ms(expected), now), "{arrived_us:?}");
        }
    }

    #[test]
    fn a_state_is_news_to_a_command_that_arrived_before_it_was_committed() {
        let (record, moment) = (running(), Clock::system().moment());
        let later = moment + Duration::from_micros(1);
        let arrived = ArrivedAt { moment, server_us: 4_500_000 };
        let now = Timestamp::from_ms(5_000);
        let basis = DecisionBasis { stored: StoredSession::State(&record), may_be_behind: false, now };
        for (committed, expected) in [
            (None, false),
            (Some(CommittedAt::ThisBatch), true),
            (Some(CommittedAt::Moment(moment)), false),
            (Some(CommittedAt::Moment(later)), true),
            (Some(CommittedAt::ServerUs(4_500_000)), false),
            (Some(CommittedAt::ServerUs(4_500_001)), true),
        ] {
            let context = basis.context(Some(arrived), || committed);
            assert_eq!(context.changed_since_arrival, expected, "{committed:?}");
            let unasked = basis.context(None, || panic!("nobody is surprised"));
            assert!(!unasked.changed_since_arrival);
        }
    }

    #[test]
    fn a_deadline_has_passed_when_it_is_not_after_now() {
        let record = running();
        for (stored, now_ms, expected) in [
            (StoredSession::State(&record), 4_599, None),
            (StoredSession::State(&record), 4_600, Some(DEADLINE)),
            (StoredSession::Absent, 4_600, None),
        ] {
            let basis = DecisionBasis { stored, may_be_behind: false, now: Timestamp::from_ms(now_ms) };
            assert_eq!(basis.passed_deadline(), expected, "{now_ms}");
        }
    }
}
