//! Sessions, events and refusals in the few words that tables compare. Says nothing twice and leaves
//! nothing out that a rule speaks of.

use std::fmt::Write as _;

use super::super::{Event, Millis, ParticipantId, Refusal, Session, Status, Timestamp};

/// A state on one line.
pub(super) fn state(session: &Session) -> String {
    let mut told = format!("v{} {}", session.version, session.status.name());
    let active = session.active().map(|active| name(active.id)).unwrap_or_default();
    match session.status {
        Status::Pending => Ok(()),
        Status::Running => {
            let since = session.cycle_started_at().map(Timestamp::as_ms).expect("a turn runs");
            let deadline = session.deadline().map(|at| at.as_ms().to_string()).unwrap_or_default();
            write!(told, " {active} {since}..{deadline}")
        }
        Status::Paused => write!(told, " {active}"),
        Status::Expired | Status::Completed | Status::Cancelled => {
            write!(told, " at {}", session.completed_at.map(Timestamp::as_ms).expect("an end has an instant"))
        }
    }
    .expect("a string takes everything");
    for (place, one) in session.participants.iter().enumerate() {
        let (shown, used) = (session.shown_time(place).as_ms(), one.used.as_ms());
        let flagged = if one.has_expired { "!" } else { "" };
        let at = one.expired_at.map(|at| at.as_ms().to_string()).unwrap_or_default();
        write!(told, " | {} {shown}+{used}x{}{flagged}{at}", name(one.id), one.cycles)
            .expect("a string takes everything");
    }
    told
}

/// The settings, as a patch would name them.
pub(super) fn settings(session: &Session) -> String {
    let shown = |time: Option<Millis>| time.map_or("null".to_owned(), |time| time.as_ms().to_string());
    let warn_at: Vec<_> = session.warn_at.iter().map(|&threshold| shown(Some(threshold))).collect();
    format!(
        "increment={} turn={} max={} on_timeout={} warn={} metadata={}",
        session.increment.as_ms(),
        shown(session.time_per_cycle),
        shown(session.max_time),
        session.on_timeout.name(),
        warn_at.join(","),
        session.metadata.as_deref().unwrap_or("null"),
    )
}

/// All warnings that are due after `after`, in order.
pub(super) fn warnings(session: &Session, after: Timestamp) -> String {
    let mut told = Vec::new();
    let mut last = Timestamp::default();
    for warning in session.warnings().into_iter().filter(|warning| warning.at > after) {
        assert!(last < warning.at, "one follows the other");
        let left = session.deadline().map(|deadline| deadline.since(warning.at));
        assert_eq!(left, Some(warning.threshold), "a warning tells what is left");
        let (who, threshold, at) = (name(warning.participant), warning.threshold.as_ms(), warning.at.as_ms());
        told.push(format!("{who} {threshold} at {at}"));
        last = warning.at;
    }
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// An event in a few words.
pub(super) fn event(event: &Event) -> String {
    match event {
        Event::Created => "created".to_owned(),
        Event::Started { to } => format!("{} starts", name(*to)),
        Event::Switched { from, to: Some(to) } => format!("{} -> {}", name(*from), name(*to)),
        Event::Switched { from, to: None } => format!("{} -> nobody", name(*from)),
        Event::Paused => "paused".to_owned(),
        Event::Resumed => "resumed".to_owned(),
        Event::ParticipantExpired { participant, at } => format!("{} flags at {}", name(*participant), at.as_ms()),
        Event::RoundsExpired { rounds, until } => format!("{rounds} rounds until {}", until.as_ms()),
        Event::ParticipantRevived { participant } => format!("{} goes on", name(*participant)),
        Event::SessionExpired { at } => format!("expires at {}", at.as_ms()),
        Event::Completed => "completed".to_owned(),
        Event::Cancelled => "cancelled".to_owned(),
        Event::Updated => "updated".to_owned(),
        Event::Deleted => "deleted".to_owned(),
        Event::Recovered => "recovered".to_owned(),
    }
}

/// A refusal in a few words.
pub(super) fn refusal(refusal: Refusal) -> String {
    match refusal {
        Refusal::NotFound => "no session".to_owned(),
        Refusal::Exists => "session exists".to_owned(),
        Refusal::Conflict { actual_version, expected_version: None } => format!("conflict at v{actual_version}"),
        Refusal::Conflict { actual_version, expected_version: Some(expected) } => {
            format!("conflict at v{actual_version}, expected v{expected}")
        }
        Refusal::CannotStart(status) => format!("cannot start {}", status.name()),
        Refusal::CannotPause(status) => format!("cannot pause {}", status.name()),
        Refusal::CannotResume(status) => format!("cannot resume {}", status.name()),
        Refusal::NotRunning(status) => format!("not running but {}", status.name()),
        Refusal::CannotUpdate(status) => format!("cannot update {}", status.name()),
        Refusal::UnknownParticipant(participant) => format!("no participant {}", name(participant)),
        Refusal::ExpiredParticipant(participant) => format!("{} has flagged", name(participant)),
        Refusal::MaxTimeBelowUsed { used } => format!("max below {}", used.as_ms()),
        Refusal::TotalTimeUsed { total } => format!("all of {} is used", total.as_ms()),
        Refusal::SetByTimeControl(setting) => format!("{setting:?} is the time control's"),
        Refusal::CannotAdvance => "cannot advance".to_owned(),
        Refusal::StateTooLarge => "state too large".to_owned(),
        Refusal::MetadataTooLarge => "metadata too large".to_owned(),
        Refusal::OtherCommand => "another command".to_owned(),
    }
}

/// The letter that a participant is called by.
pub(super) fn name(participant: ParticipantId) -> String {
    let letter = u32::try_from(participant.0.bits()).ok().and_then(char::from_u32);
    letter.map_or_else(|| participant.to_string(), String::from)
}
