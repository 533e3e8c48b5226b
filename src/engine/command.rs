//! What can be asked of a session, as data. Does not know how it is judged.

use std::sync::Arc;

use super::id::ParticipantId;
use super::session::{OnTimeout, Session};
use super::time::Millis;

/// A request to change a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing but what time has done: sent when a deadline has passed.
    Settle,
    /// Begin the first turn.
    Start,
    /// Interrupt the turn.
    Pause,
    /// Go on with the interrupted turn.
    Resume,
    /// End the turn and begin the next.
    Switch {
        /// Whose turn begins; by rotation when not given.
        next: Option<ParticipantId>,
        /// The participant whose turn is to end: a late press must never end another's.
        current: Option<ParticipantId>,
    },
    /// End the session.
    Complete,
    /// Call the session off.
    Cancel,
    /// Change settings.
    Patch(Patch),
    /// Take the session away. What time has done before is still settled.
    Delete,
}

/// New values for settings; a setting that is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// The whole new metadata, or none.
    pub metadata: Option<Option<Arc<str>>>,
    /// Counts from the next switch.
    pub increment: Option<Millis>,
    /// Counts from the next turn.
    pub time_per_cycle: Option<Option<Millis>>,
    /// Counts at once.
    pub max_time: Option<Option<Millis>>,
    /// Counts from the next flag.
    pub on_timeout: Option<OnTimeout>,
    /// Counts at once.
    pub warn_at: Option<Arc<[Millis]>>,
}

/// A setting that says what a clock has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSetting {
    /// What a completed turn earns.
    Increment,
    /// A turn's time.
    TimePerCycle,
    /// How far a clock may count.
    MaxTime,
}

impl Patch {
    /// The first setting that says what a clock has, if one is named.
    pub fn clock_setting(&self) -> Option<ClockSetting> {
        let named = [
            (self.increment.is_some(), ClockSetting::Increment),
            (self.time_per_cycle.is_some(), ClockSetting::TimePerCycle),
            (self.max_time.is_some(), ClockSetting::MaxTime),
        ];
        named.iter().find(|(is_named, _)| *is_named).map(|(_, setting)| *setting)
    }

    /// Whether anything but metadata is named.
    pub fn names_settings(&self) -> bool {
        self.increment.is_some()
            || self.time_per_cycle.is_some()
            || self.max_time.is_some()
            || self.on_timeout.is_some()
            || self.warn_at.is_some()
    }
}

/// Names one state of a session: no two states that an id ever had share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateTag {
    /// See [`Session::epoch`].
    pub epoch: u64,
    /// See [`Session::version`].
    pub version: u64,
}

impl StateTag {
    /// Whether `next` is the state right after this one.
    pub fn is_followed_by(self, next: StateTag) -> bool {
        self.epoch == next.epoch && self.version + 1 == next.version
    }
}

impl Session {
    /// The name of this state.
    pub fn tag(&self) -> StateTag {
        StateTag { epoch: self.epoch, version: self.version }
    }
}

/// What the caller believes the session to be; compared with what is stored, before settling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// One of these states.
    pub one_of: Option<Vec<StateTag>>,
    /// This version.
    pub version: Option<u64>,
}

impl Precondition {
    /// Whether the stored session is what the caller believes.
    pub fn holds(&self, stored: &Session) -> bool {
        self.one_of.as_ref().is_none_or(|tags| tags.contains(&stored.tag()))
            && self.version.is_none_or(|version| version == stored.version)
    }
}
