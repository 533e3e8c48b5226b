//! What comes of a check, for people: an explanation, or the operations that cannot be put in order. Finds what contradicts
//! itself without any order. Does not know how orders are searched.

use std::collections::HashMap;
use std::fmt;

use super::model::State;
use super::operation::{Answer, Ask, History, Instant, Operation, Sighting, Tag, View};

/// What comes of a check.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// There is an order.
    Right(Explanation),
    /// There is none.
    Wrong(Violation),
    /// Nobody knows: the search took more steps than it may.
    Undecided { steps: u64, furthest: Violation },
}

/// The order that was found.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The state at its end.
    pub last: State,
    /// How many operations of unknown outcome took effect.
    pub took_effect: usize,
    /// How often the store went back.
    pub losses: usize,
    /// How many changes it took with it.
    pub lost: u64,
    /// How many states the search looked at.
    pub steps: u64,
}

/// Operations that cannot be put in order.
#[derive(Clone, Debug)]
pub struct Violation {
    pub reason: String,
    /// The state before them; the newest one that could be reached, in a whole history.
    pub state: Option<State>,
    pub operations: Vec<Operation>,
    pub sightings: Vec<Sighting>,
}

impl Verdict {
    /// Whether there is an order.
    #[must_use]
    pub fn is_right(&self) -> bool {
        matches!(self, Verdict::Right(_))
    }
}

/// What is wrong in whatever order: two changes with one tag, or one tag with two states.
#[must_use]
pub fn contradiction(history: &History) -> Option<Violation> {
    let mut makers: HashMap<Tag, &Operation> = HashMap::new();
    let mut views: HashMap<Tag, (&View, Option<&Operation>)> = HashMap::new();
    for operation in &history.operations {
        let Some(view) = operation.view() else { continue };
        if let Some(other) = operation.always_changes().then(|| makers.insert(view.tag, operation)).flatten() {
            return Some(Violation::of("two changes have one tag", &[other, operation]));
        }
        match views.get(&view.tag) {
            Some((other, by)) if !other.agrees(view) => {
                let both: Vec<_> = by.iter().copied().chain([operation]).collect();
                return Some(Violation::of("one tag names two states", &both));
            }
            Some((other, _)) if other.mark.is_some() => {}
            _ => {
                views.insert(view.tag, (view, Some(operation)));
            }
        }
    }
    for sighting in &history.sightings {
        match views.get(&sighting.view.tag) {
            Some((other, by)) if !other.agrees(&sighting.view) => {
                let mut violation = Violation::of("one tag names two states", &Vec::from_iter(*by));
                violation.sightings.push(sighting.clone());
                return Some(violation);
            }
            Some(_) => {}
            None => {
                views.insert(sighting.view.tag, (&sighting.view, None));
            }
        }
    }
    None
}

impl Operation {
    /// Whether its answer says that it made a state. Who completes or cancels is answered the same when it was over already.
    fn always_changes(&self) -> bool {
        match (&self.ask, &self.answer) {
            (Ask::Read | Ask::Complete | Ask::Cancel | Ask::Delete { .. }, _) => false,
            (
                Ask::Create { .. } | Ask::Start | Ask::Switch(_) | Ask::Pause | Ask::Resume | Ask::Patch { .. },
                answer,
            ) => {
                matches!(answer, Answer::Done(_))
            }
        }
    }
}

impl Violation {
    fn of(reason: &str, operations: &[&Operation]) -> Self {
        let operations = operations.iter().map(|&operation| operation.clone()).collect();
        Self { reason: reason.to_owned(), state: None, operations, sightings: Vec::new() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.reason)?;
        if let Some(state) = &self.state {
            writeln!(out, "  from {state:?}")?;
        }
        let begin = self.operations.iter().map(|operation| operation.invoked).min().unwrap_or_default();
        let ms = |at: Instant| (at as f64 - begin as f64) / 1e6;
        writeln!(out, "  ms since {:.3} s, client, asked, answered", begin as f64 / 1e9)?;
        for Operation { client, invoked, returned, ask, answer } in &self.operations {
            writeln!(out, "  {:>9.3} .. {:>9.3}  {client:>3}  {ask:?}  {answer:?}", ms(*invoked), ms(*returned))?;
        }
        for Sighting { at, view } in &self.sightings {
            writeln!(out, "  until {:>9.3} seen: {view:?}", ms(*at))?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Right(Explanation { took_effect, losses, lost, steps, .. }) => {
                write!(
                    out,
                    "right: {took_effect} of unknown outcome took effect, {losses} losses of {lost}, {steps} steps"
                )
            }
            Verdict::Wrong(violation) => write!(out, "wrong: {violation}"),
            Verdict::Undecided { steps, furthest } => write!(out, "undecided after {steps} steps: {furthest}"),
        }
    }
}
