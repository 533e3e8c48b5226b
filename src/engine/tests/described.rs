//! What tables say, read: sessions, commands and preconditions from words. A word that means nothing
//! panics, so that no table passes by being misread.

use std::sync::Arc;

use super::super::{
    Command, GroupId, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Patch, Precondition, Session,
    SessionId, StateTag, Timestamp, Uuid,
};

/// The epoch of every session in a table.
pub(super) const EPOCH: u64 = 7;

/// The session of a description, at its creation at 0.
pub(super) fn described(description: &str) -> Session {
    new_session(description).create(EPOCH, Timestamp::from_ms(0))
}

/// What a description asks for.
pub(super) fn new_session(description: &str) -> NewSession {
    let mut new = NewSession {
        id: SessionId(Uuid::from_bits(1)),
        mode: Mode::PerParticipant,
        participants: Vec::new(),
        groups: Vec::new(),
        total_time: Millis::new(60_000),
        time_per_cycle: None,
        increment: Millis::ZERO,
        max_time: None,
        on_timeout: OnTimeout::default(),
        warn_at: Arc::new([]),
        metadata: None,
        controls: None,
    };
    for word in description.split_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            match (Mode::ALL.iter().find(|mode| mode.name() == word), on_timeout(word)) {
                (Some(&mode), _) => new.mode = mode,
                (None, Some(choice)) => new.on_timeout = choice,
                (None, None) => panic!("{word}: neither a mode nor what a flag does"),
            }
            continue;
        };
        match key {
            "total" => new.total_time = ms(value),
            "turn" => new.time_per_cycle = Some(ms(value)),
            "increment" => new.increment = ms(value),
            "max" => new.max_time = Some(ms(value)),
            "warn" => new.warn_at = value.split(',').map(ms).collect(),
            "metadata" => new.metadata = Some(value.into()),
            _ if key.starts_with(char::is_lowercase) => new.groups.push((group(key), ms(value))),
            _ => {
                let (value, group_name) = value.split_once('/').map_or((value, None), |(v, g)| (v, Some(g)));
                let (time, index) = value.split_once('#').map_or((value, None), |(t, i)| (t, Some(i)));
                new.participants.push(NewParticipant {
                    id: participant(key),
                    index: index.map_or(new.participants.len() as u64, number),
                    total_time: ms(time),
                    group: group_name.map(group),
                });
            }
        }
    }
    new
}

/// A command and, after `if`, its precondition: `v3` or state tags such as `7.3,7.4`.
pub(super) fn parsed(step: &str) -> (Command, Precondition) {
    let (step, condition) = step.split_once(" if ").map_or((step, None), |(step, condition)| (step, Some(condition)));
    let mut precondition = Precondition::default();
    for condition in condition.into_iter().flat_map(str::split_whitespace) {
        match condition.strip_prefix('v') {
            Some(version) => precondition.version = Some(number(version)),
            None => precondition.one_of = Some(condition.split(',').map(tag).collect()),
        }
    }
    let mut words = step.split_whitespace();
    let command = match words.next().expect("a step has a command") {
        "settle" => Command::Settle,
        "start" => Command::Start,
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "complete" => Command::Complete,
        "cancel" => Command::Cancel,
        "delete" => Command::Delete,
        "patch" => Command::Patch(words.by_ref().fold(Patch::default(), patched)),
        "switch" => {
            let (mut next, mut current) = (None, None);
            while let Some(word) = words.next() {
                let who = participant(words.next().expect("somebody is named"));
                match word {
                    "to" => next = Some(who),
                    "by" => current = Some(who),
                    _ => panic!("{word}: a switch is `to` and `by`"),
                }
            }
            Command::Switch { next, current }
        }
        other => panic!("{other}: no command"),
    };
    assert_eq!(words.next(), None, "{step}: too many words");
    (command, precondition)
}

fn patched(mut patch: Patch, word: &str) -> Patch {
    let (key, value) = word.split_once('=').expect("a setting is `key=value`");
    let given = (value != "null").then_some(value);
    match key {
        "metadata" => patch.metadata = Some(given.map(Arc::from)),
        "increment" => patch.increment = Some(given.map_or(Millis::ZERO, ms)),
        "turn" => patch.time_per_cycle = Some(given.map(ms)),
        "max" => patch.max_time = Some(given.map(ms)),
        "on_timeout" => {
            patch.on_timeout = Some(given.map_or(OnTimeout::default(), |v| on_timeout(v).expect("a choice")))
        }
        "warn" => patch.warn_at = Some(given.iter().flat_map(|v| v.split(',')).map(ms).collect()),
        _ => panic!("{key}: no setting"),
    }
    patch
}

/// A participant's id is its letter's code.
pub(super) fn participant(name: &str) -> ParticipantId {
    ParticipantId(letter(name))
}

/// A group's id is its letter's code.
pub(super) fn group(name: &str) -> GroupId {
    GroupId(letter(name))
}

fn letter(name: &str) -> Uuid {
    let mut letters = name.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else { panic!("{name}: a name is one letter") };
    Uuid::from_bits(u128::from(u32::from(letter)))
}

fn tag(text: &str) -> StateTag {
    let (epoch, version) = text.split_once('.').expect("a tag is `epoch.version`");
    StateTag { epoch: number(epoch), version: number(version) }
}

fn on_timeout(name: &str) -> Option<OnTimeout> {
    OnTimeout::ALL.into_iter().find(|choice| choice.name() == name)
}

fn ms(text: &str) -> Millis {
    Millis::new(number(text))
}

pub(super) fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text}: not a number"))
}
