//! The smallest part of a wrong history that is found which is wrong by itself: first as short a beginning as there is, then
//! as late a state to begin from. A part is judged more mildly than the whole, so that what is wrong in it is wrong in the
//! whole. Does not know how orders are searched.

use super::model::{Life, Session, State};
use super::operation::{Answer, Ask, History, Instant, OnTimeout, Operation, View};
use super::rules::Rules;
use super::search::search;
use super::verdict::{Verdict, Violation};

/// From how many states at most a part is tried.
const BEGINS_MAX: usize = 200;
/// Of how many operations at most each is left out by itself.
const WINDOW_MAX: usize = 120;

/// Shrinks a history that is wrong for a reason that only an order would have shown.
pub(super) fn shrink(history: &History, rules: &Rules, found: Violation) -> Violation {
    if found.state.is_none() {
        // It contradicts itself.
        return found;
    }
    let is_told = |operation: &&Operation| operation.answer != Answer::NotDone;
    let told = history.operations.iter().filter(is_told).cloned().collect();
    let short = beginning(&History { operations: told, ..history.clone() }, rules);
    let (state, mut part) = latest_begin(&short, rules).unwrap_or((None, short));
    leave_out(&mut part, state.as_ref(), rules);
    let Some(violation) = wrong(&part, state.clone(), rules) else { return found };
    let mut operations = part.operations;
    operations.sort_by_key(|operation| operation.invoked);
    let reason = format!("{}; from the state below on nothing else is needed", violation.reason);
    let state = state.or(Some(State::absent()));
    Violation { reason, state, operations, sightings: part.sightings }
}

fn wrong(history: &History, start: Option<State>, rules: &Rules) -> Option<Violation> {
    let rules = Rules { steps_max: rules.steps_max / 8, ..rules.clone() };
    match search(history, start, &rules) {
        Verdict::Wrong(violation) => Some(violation),
        Verdict::Right(_) | Verdict::Undecided { .. } => None,
    }
}

/// The shortest beginning that is wrong: what begins right goes on being so.
fn beginning(history: &History, rules: &Rules) -> History {
    let mut ends: Vec<_> = history.operations.iter().map(|operation| operation.returned).collect();
    ends.extend(history.sightings.iter().map(|sighting| sighting.at));
    ends.sort_unstable();
    ends.dedup();
    let first = ends.partition_point(|&end| wrong(&until(history, end), None, rules).is_none());
    ends.get(first).map_or_else(|| history.clone(), |&end| until(history, end))
}

/// What was known at an instant.
fn until(history: &History, end: Instant) -> History {
    let asked = history.operations.iter().filter(|operation| operation.invoked <= end);
    let operations = asked.map(|operation| match operation.returned <= end {
        true => operation.clone(),
        false => Operation { answer: Answer::Unknown, ..operation.clone() },
    });
    let sightings = history.sightings.iter().filter(|sighting| sighting.at <= end).cloned();
    History { operations: operations.collect(), sightings: sightings.collect() }
}

/// The latest state that an answer shows in full from which on the rest is wrong.
fn latest_begin(history: &History, rules: &Rules) -> Option<(Option<State>, History)> {
    let mut shown: Vec<_> = history.operations.iter().filter(|operation| is_whole(operation)).collect();
    shown.sort_by_key(|operation| std::cmp::Reverse(operation.returned));
    let kind = history.operations.iter().find_map(|operation| {
        let Ask::Create { participants, on_timeout } = operation.ask else { return None };
        Some((participants, on_timeout))
    })?;
    // What a loss goes back to may be before any state that it is begun from.
    let whole = rules.losses.iter().map(|span| span.to).max().unwrap_or(0);
    for anchor in shown.into_iter().take_while(|anchor| anchor.invoked >= whole).take(BEGINS_MAX) {
        let Some(view) = anchor.view() else { continue };
        let (state, part) = (Some(state_of(view, kind)?), after(history, anchor, view));
        if wrong(&part, state.clone(), rules).is_some() {
            return Some((state, part));
        }
    }
    None
}

fn is_whole(operation: &Operation) -> bool {
    operation.view().is_some_and(|view| view.mark.is_some())
}

fn state_of(view: &View, (participants, on_timeout): (u8, OnTimeout)) -> Option<State> {
    let View { tag, status, active, out, mark, .. } = *view;
    let session = Session { version: tag.version, status, active, out, mark: mark?, participants, on_timeout };
    Some(State { life: Life::Present(session), epoch: Some(tag.epoch), above: tag.epoch.saturating_sub(1), lost: 0 })
}

/// What is left when a state that an answer shows was there. What was under way then may have been before or after.
fn after(history: &History, anchor: &Operation, view: &View) -> History {
    let mut operations = Vec::new();
    for operation in &history.operations {
        let is_later =
            operation.view().map(|other| other.tag > view.tag || (other.tag == view.tag && operation.ask == Ask::Read));
        let answer = match is_later {
            _ if operation.answer == Answer::Unknown => Answer::Unknown,
            _ if operation.returned < anchor.invoked || operation == anchor => continue,
            Some(false) if operation.invoked <= anchor.returned => continue,
            Some(false) => operation.answer.clone(),
            Some(true) => operation.answer.clone(),
            None if operation.invoked > anchor.returned => operation.answer.clone(),
            None => Answer::Unknown,
        };
        operations.push(Operation { answer, ..operation.clone() });
    }
    let sightings = history.sightings.iter().filter(|sighting| sighting.view.tag > view.tag).cloned();
    History { operations, sightings: sightings.collect() }
}

/// Leaves out what changes nothing, each by itself, as long as the rest is wrong.
fn leave_out(part: &mut History, state: Option<&State>, rules: &Rules) {
    let is_known = |operation: &&Operation| operation.answer != Answer::Unknown;
    if part.operations.iter().filter(is_known).count() > WINDOW_MAX {
        return;
    }
    for place in (0..part.operations.len()).rev() {
        let operation = &part.operations[place];
        let changes_nothing =
            operation.ask == Ask::Read || matches!(operation.answer, Answer::Refused(_) | Answer::NotDone);
        if changes_nothing {
            let operation = part.operations.remove(place);
            if wrong(part, state.cloned(), rules).is_none() {
                part.operations.insert(place, operation);
            }
        }
    }
    let seen = std::mem::take(&mut part.sightings);
    for (place, _) in seen.iter().enumerate() {
        let rest = History {
            operations: part.operations.clone(),
            sightings: [&part.sightings[..], &seen[place + 1..]].concat(),
        };
        if wrong(&rest, state.cloned(), rules).is_none() {
            part.sightings.push(seen[place].clone());
        }
    }
}
