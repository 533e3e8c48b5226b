//! The search for an order: depth first, one operation after the other, each among those that no other one must precede. What
//! changes nothing and fits is taken at once, which is always right; a set of operations and a state are looked at once.
//! Operations of unknown outcome come in where something is missing. Does not know what commands do.

mod choices;
mod memo;
mod node;
mod remaining;

use std::cell::Cell;
use std::collections::HashMap;

use super::model::State;
use super::operation::{Answer, Ask, DeadlineWindow, History, Instant, Operation, Sighting, Tag};
use super::rules::Rules;
use super::verdict::{Explanation, Verdict, Violation};
use memo::Memo;
use node::Node;
use remaining::Remaining;

/// What is searched.
struct Search<'h> {
    rules: &'h Rules,
    /// By when they were asked.
    known: Vec<&'h Operation>,
    /// Whether somebody else may have changed the session meanwhile.
    is_contended: Vec<bool>,
    unknown: Vec<&'h Operation>,
    /// By tag, each until when it must have been there.
    sightings: Vec<Sighting>,
    deadlines: HashMap<Tag, DeadlineWindow>,
    /// Whether some ways on were left out, since there were too many.
    is_cut: Cell<bool>,
}

/// A place in the search: what is to be tried next, and what to put back on the way out.
struct Frame {
    choices: std::vec::IntoIter<choices::Choice>,
    taken: Vec<usize>,
}

/// Where the search came furthest.
struct Furthest {
    left: usize,
    node: Node,
    next: Vec<usize>,
}

/// Looks for an order from a state on, or from nothing.
pub(super) fn search(history: &History, start: Option<State>, rules: &Rules) -> Verdict {
    let search = Search::of(history, rules);
    search.run(start.unwrap_or_else(State::absent))
}

impl<'h> Search<'h> {
    fn of(history: &'h History, rules: &'h Rules) -> Self {
        let sorted = |is_wanted: &dyn Fn(&Operation) -> bool| {
            let mut all: Vec<_> = history.operations.iter().filter(|operation| is_wanted(operation)).collect();
            all.sort_by_key(|operation| operation.invoked);
            all
        };
        let known = sorted(&|operation| !matches!(operation.answer, Answer::Unknown | Answer::NotDone));
        let unknown = sorted(&|operation| operation.answer == Answer::Unknown && operation.ask != Ask::Read);
        let deadlines = deadlines(history);
        let is_due = |operation: &Operation| {
            let tolerance = rules.tolerance;
            deadlines.values().any(|DeadlineWindow { earliest, latest }| {
                *earliest <= operation.returned.saturating_add(tolerance)
                    && operation.invoked <= latest.saturating_add(tolerance)
            })
        };
        let is_contended = |operation: &&Operation| {
            matches!(operation.answer, Answer::Refused(_))
                && (has_rivals(operation, &known, &unknown, rules.tolerance) || is_due(operation))
        };
        let is_contended = known.iter().map(is_contended).collect();
        Self {
            rules,
            is_contended,
            known,
            unknown,
            sightings: until(&history.sightings),
            deadlines,
            is_cut: Cell::new(false),
        }
    }

    fn run(&self, start: State) -> Verdict {
        let mut remaining = Remaining::of(&self.known);
        let mut memo = Memo::default();
        let mut frames: Vec<Frame> = Vec::new();
        let mut furthest: Option<Furthest> = None;
        let mut steps = 0;
        let mut entered = Some((Node::begin(start), Vec::new()));
        loop {
            if let Some((mut node, mut taken)) = entered.take() {
                steps += 1;
                if steps > self.rules.steps_max {
                    return Verdict::Undecided { steps, furthest: self.stuck(furthest) };
                }
                self.take_free(&mut node, &mut remaining, &mut taken);
                if remaining.is_empty() && node.sighted == self.sightings.len() {
                    return Verdict::Right(explain(node, steps));
                }
                let is_new = memo.insert(remaining.hash(), &node);
                if furthest.as_ref().is_none_or(|furthest| remaining.len() < furthest.left) {
                    let (next, _) = remaining.candidates(self.sighted_until(&node));
                    furthest = Some(Furthest { left: remaining.len(), node: node.clone(), next });
                }
                let choices = if is_new { self.choices(&node, &remaining) } else { Vec::new() };
                frames.push(Frame { choices: choices.into_iter(), taken });
            }
            let Some(frame) = frames.last_mut() else {
                return match self.is_cut.get() {
                    true => Verdict::Undecided { steps, furthest: self.stuck(furthest) },
                    false => Verdict::Wrong(self.stuck(furthest)),
                };
            };
            match frame.choices.next() {
                Some(choice) => {
                    choice.known.iter().for_each(|&place| remaining.remove(place));
                    entered = Some((choice.node, Vec::from_iter(choice.known)));
                }
                None => {
                    frame.taken.iter().rev().for_each(|&place| remaining.restore(place));
                    frames.pop();
                }
            }
        }
    }

    /// Takes what changes nothing and fits: in any order that there is, it can stand here as well.
    fn take_free(&self, node: &mut Node, remaining: &mut Remaining<'_>, taken: &mut Vec<usize>) {
        loop {
            let (candidates, _) = remaining.candidates(self.sighted_until(node));
            let before = taken.len();
            for place in candidates {
                if self.is_free(node, place) {
                    remaining.remove(place);
                    taken.push(place);
                }
            }
            if taken.len() == before {
                return;
            }
        }
    }

    /// What stands against every order.
    fn stuck(&self, furthest: Option<Furthest>) -> Violation {
        let Some(Furthest { left, node, next }) = furthest else {
            return Violation {
                reason: "there is nothing".to_owned(),
                state: None,
                operations: Vec::new(),
                sightings: Vec::new(),
            };
        };
        let reason =
            format!("no order: {} of {} fit, and none of these comes next", self.known.len() - left, self.known.len());
        let operations = next.iter().map(|&place| self.known[place].clone()).collect();
        let sightings = self.sightings.get(node.sighted).cloned().into_iter().collect();
        Violation { reason, state: Some(node.state), operations, sightings }
    }
}

fn explain(node: Node, steps: u64) -> Explanation {
    let Node { state, used, returns, lost, .. } = node;
    Explanation { last: state, took_effect: used.len(), losses: returns, lost, steps }
}

/// Whether another operation that may have changed the session was under way at the same time, as far as clocks agree.
fn has_rivals(operation: &Operation, known: &[&Operation], unknown: &[&Operation], tolerance: Instant) -> bool {
    let asked_before = |all: &[&Operation]| all.partition_point(|other| other.invoked <= operation.returned);
    let is_rival = |other: &&Operation| {
        other.ask != Ask::Read
            && !matches!(other.answer, Answer::Refused(_))
            && other.returned.saturating_add(tolerance) >= operation.invoked
            && *other != operation
    };
    asked_before(unknown) > 0 || known[..asked_before(known)].iter().any(is_rival)
}

/// Each state that was seen, and until when it must have been there at the latest.
fn until(sightings: &[Sighting]) -> Vec<Sighting> {
    let mut all = sightings.to_vec();
    all.sort_by_key(|sighting| (sighting.view.tag, sighting.at));
    all.dedup_by_key(|sighting| sighting.view.tag);
    // What comes before a state that was seen was there before that.
    let mut latest = u64::MAX;
    for sighting in all.iter_mut().rev() {
        latest = latest.min(sighting.at);
        sighting.at = latest;
    }
    all
}

/// When the clock of each state runs out, as closely as answers say.
fn deadlines(history: &History) -> HashMap<Tag, DeadlineWindow> {
    let mut all: HashMap<Tag, DeadlineWindow> = HashMap::new();
    for view in history.operations.iter().filter_map(Operation::view) {
        if let Some(window) = view.deadline {
            let known = all.entry(view.tag).or_insert(window);
            known.earliest = known.earliest.max(window.earliest);
            known.latest = known.latest.min(window.latest);
        }
    }
    all
}
