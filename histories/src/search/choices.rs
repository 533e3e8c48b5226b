//! Where one can go from a place in the search: to one of the operations that may come next, to the end of a clock, to an
//! operation of unknown outcome, or back to what a store had before. Does not know in which order they are tried.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::commands::{Judged, Outcome, judge, outcomes};
use super::super::model::State;
use super::super::operation::{Answer, Ask, Instant, RefusalKind};
use super::Search;
use super::node::{Node, Past};
use super::remaining::Remaining;

/// How many earlier states a store may have gone back to are tried.
const RETURNS_MAX: usize = 16;

/// What made a state.
struct Change {
    asked: Instant,
    is_acknowledged: bool,
}

/// What the server does by itself.
const UNTOLD: Option<Change> = Some(Change { asked: 0, is_acknowledged: false });

/// A way on.
pub(super) struct Choice {
    /// The operation that is taken.
    pub(super) known: Option<usize>,
    pub(super) node: Node,
}

impl Search<'_> {
    /// The ways on, the likeliest first.
    pub(super) fn choices(&self, node: &Node, remaining: &Remaining<'_>) -> Vec<Choice> {
        let (candidates, until) = remaining.candidates(self.sighted_until(node));
        let mut choices = Vec::new();
        for &place in &candidates {
            for (state, is_changed) in self.fits(&node.state, place, until) {
                let change = is_changed.then(|| Change { asked: self.known[place].invoked, is_acknowledged: true });
                let nodes = self.arrive(node, state, change).into_iter();
                choices.extend(nodes.map(|node| Choice { known: Some(place), node }));
            }
        }
        let mut others = Vec::new();
        if self.may_flag(&node.state, until) {
            others.extend(node.state.flagged().into_iter().flat_map(|state| self.arrive(node, state, UNTOLD)));
        }
        others.extend(self.by_unknown(node, until));
        others.extend(self.by_loss(node, &candidates, until));
        choices.extend(others.into_iter().map(|node| Choice { known: None, node }));
        choices
    }

    /// Whether an operation changes nothing here, tells nothing new, and fits; and would change nothing elsewhere, as a
    /// deletion that found nothing might.
    pub(super) fn is_free(&self, node: &Node, place: usize) -> bool {
        if self.known[place].answer == Answer::Gone {
            return false;
        }
        let judged = judge(&node.state, &node.state, &self.known[place].ask);
        !self.is_overdue(&node.state, place) && self.explains(place, &judged, &node.state).as_ref() == Some(&node.state)
    }

    /// The states after an operation in which its answer is right, and whether it made them.
    fn fits(&self, state: &State, place: usize, until: Instant) -> Vec<(State, bool)> {
        let judged = outcomes(state, &self.known[place].ask).into_iter();
        let may_be = judged.filter(|judged| match judged.is_settled {
            true => self.may_flag(state, until),
            false => !self.is_overdue(state, place),
        });
        may_be.filter_map(|judged| Some((self.explains(place, &judged, state)?, judged.is_changed))).collect()
    }

    /// The state after an operation, if its answer is what came of it.
    fn explains(&self, place: usize, judged: &Judged, before: &State) -> Option<State> {
        match (&self.known[place].answer, judged.outcome) {
            (Answer::Done(view), Outcome::Done) | (Answer::Late(view), Outcome::Late) => judged.state.shown(view),
            (Answer::Gone, Outcome::Gone) => Some(judged.state.clone()),
            (Answer::Refused(told), Outcome::Refused(refusal)) if *told == refusal => Some(judged.state.clone()),
            // Whoever could not know of another change is told of a conflict; so is who met others too often.
            (Answer::Refused(RefusalKind::Conflict { actual }), _) if self.is_contended[place] => {
                let state = if judged.is_refused() { &judged.state } else { before };
                let is_current = state.session().is_some_and(|session| session.version == *actual);
                (is_current && (judged.is_refused() || !judged.is_settled)).then(|| state.clone())
            }
            (Answer::Done(_) | Answer::Late(_) | Answer::Gone | Answer::Refused(_), _) => None,
            (Answer::NotDone | Answer::Unknown, _) => None,
        }
    }

    /// Whether the running clock may have ended by `until`.
    fn may_flag(&self, state: &State, until: Instant) -> bool {
        let deadline = state.tag().and_then(|tag| self.deadlines.get(&tag));
        deadline.is_none_or(|deadline| deadline.earliest <= until.saturating_add(self.rules.tolerance))
    }

    /// Whether the running clock had ended for certain when an operation was asked for.
    fn is_overdue(&self, state: &State, place: usize) -> bool {
        let operation = self.known[place];
        let deadline = state.tag().and_then(|tag| self.deadlines.get(&tag));
        !matches!(operation.ask, Ask::Create { .. })
            && deadline.is_some_and(|deadline| deadline.latest.saturating_add(self.rules.tolerance) < operation.invoked)
    }

    /// Until when the next state that somebody saw must be there.
    pub(super) fn sighted_until(&self, node: &Node) -> Instant {
        self.sightings.get(node.sighted).map_or(Instant::MAX, |sighting| sighting.at)
    }

    /// The places that a state is, none if a state that somebody saw was passed by. One whose epoch nobody told may be the
    /// next that somebody saw.
    fn arrive(&self, node: &Node, state: State, change: Option<Change>) -> Vec<Node> {
        let past = match change.filter(|_| !self.rules.losses.is_empty()) {
            Some(Change { asked, is_acknowledged }) => node.remember(asked, is_acknowledged),
            None => node.past.clone(),
        };
        let seen = self.sightings.get(node.sighted).map(|sighting| &sighting.view);
        let at = |state: State, sighted: usize| Node { state, sighted, past: past.clone(), ..node.clone() };
        match (state.tag(), seen) {
            (Some(tag), Some(seen)) if tag > seen.tag => Vec::new(),
            (Some(tag), Some(seen)) if tag == seen.tag => match state.shown(seen) {
                Some(state) => vec![at(state, node.sighted + 1)],
                None => Vec::new(),
            },
            (None, Some(seen)) => {
                let named = state.shown(seen).map(|state| at(state, node.sighted + 1));
                named.into_iter().chain([at(state, node.sighted)]).collect()
            }
            (Some(_), Some(_)) | (_, None) => vec![at(state, node.sighted)],
        }
    }

    /// An operation of unknown outcome takes effect. Of equal ones the first is as good as any.
    fn by_unknown(&self, node: &Node, until: Instant) -> Vec<Node> {
        let asked = self.unknown.partition_point(|operation| operation.invoked <= until);
        let mut met: HashSet<&Ask> = HashSet::new();
        let mut found = Vec::new();
        for place in 0..asked {
            if node.used.binary_search(&(place as u32)).is_ok() || !met.insert(&self.unknown[place].ask) {
                continue;
            }
            for judged in outcomes(&node.state, &self.unknown[place].ask) {
                let is_made = judged.is_changed && matches!(judged.outcome, Outcome::Done | Outcome::Gone);
                if is_made && (!judged.is_settled || self.may_flag(&node.state, until)) {
                    let change = Change { asked: self.unknown[place].invoked, is_acknowledged: false };
                    let nodes = self.arrive(node, judged.state, Some(change));
                    found.push(nodes.into_iter().map(|node| node.with_used(place as u32)).collect::<Vec<_>>());
                }
            }
        }
        // What was asked last is the likeliest.
        found.into_iter().rev().flatten().collect()
    }

    /// The store goes back to a state from which an operation that may come next is right.
    fn by_loss(&self, node: &Node, candidates: &[usize], until: Instant) -> Vec<Node> {
        let asked = node.past.as_ref().map_or(0, |past| past.asked);
        let stretches = self.rules.losses.iter().enumerate().skip(node.losses);
        let Some((stretch, _)) = stretches.into_iter().find(|(_, span)| span.from <= until && asked <= span.to) else {
            return Vec::new();
        };
        let newest = node.state.epoch.unwrap_or(0).max(node.state.above).max(node.state.lost);
        // From which an operation is right that may come next, and others, from which one of unknown outcome leads there.
        let (mut found, mut others) = (Vec::new(), Vec::new());
        let (mut lost, mut next) = (0, node.past.as_ref());
        let may_go = |past: &&Arc<Past>| !(self.rules.keeps_acknowledged && past.is_acknowledged);
        while let Some(past) = next.filter(|_| found.len() < RETURNS_MAX).filter(may_go) {
            lost += 1;
            let back = State { lost: newest, ..past.state.clone() };
            let recovered = self.rules.recovers.then(|| recovered(&back)).flatten();
            for (state, is_recovered) in [(Some(back), false), (recovered, true)] {
                let Some(state) = state else { continue };
                let is_right = candidates.iter().any(|&place| !self.fits(&state, place, until).is_empty());
                let list = if is_right { &mut found } else { &mut others };
                if !is_right && (self.unknown.is_empty() || list.len() >= RETURNS_MAX) {
                    self.is_cut.set(self.is_cut.get() || !self.unknown.is_empty());
                    continue;
                }
                let mut node = node.clone();
                (node.past, node.losses) = (past.before.clone(), stretch + 1);
                (node.returns, node.lost) = (node.returns + 1, node.lost + lost);
                if is_recovered {
                    list.extend(self.arrive(&node, state, UNTOLD));
                } else {
                    list.push(Node { state, ..node });
                }
            }
            next = past.before.as_ref();
        }
        self.is_cut.set(self.is_cut.get() || found.len() >= RETURNS_MAX);
        found.append(&mut others);
        found
    }
}

/// A session that is put back from the audit, as a change of its own.
fn recovered(state: &State) -> Option<State> {
    let mut session = state.session()?.clone();
    session.version += 1;
    Some(state.changed(session))
}
