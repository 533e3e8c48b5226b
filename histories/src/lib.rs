//! Whether what clients were told about a session can be true: whether its operations can be put into one order, each between
//! when it was asked and when it was answered, in which a sequential model gives the same answers (linearizability; the
//! search is that of Wing and Gong, as Lowe made it faster). Knows no processes, no HTTP and no clock: whoever records a
//! history, of real servers or simulated ones, says when everything was.
//!
//! ```text
//! operation   what was asked and answered, and when     operation.rs
//! model       what a session answers, one by one        model.rs, commands.rs
//! rules       what a deployment may do beside that      rules.rs
//! search      the order, if there is one                search/
//! report      the part of a history that is wrong       shrink.rs, verdict.rs
//! ```

#![allow(missing_docs, reason = "what a field or a variant is, its name says")]

pub mod commands;
pub mod model;
pub mod operation;
pub mod rules;
pub mod search;
pub mod shrink;
pub mod verdict;

pub use operation::{
    Answer, Ask, DeadlineWindow, History, Instant, Moves, OnTimeout, Operation, RefusalKind, Sighting, Status, Tag,
    View,
};
pub use rules::{Rules, Span};
pub use verdict::{Verdict, Violation, contradiction};

/// Judges a history of one session.
#[must_use]
pub fn check(history: &History, rules: &Rules) -> Verdict {
    if let Some(violation) = verdict::contradiction(history) {
        return Verdict::Wrong(violation);
    }
    search::search(history, None, rules)
}

/// The same; of a history that is wrong the smallest part that is found which is wrong by itself.
#[must_use]
pub fn check_and_shrink(history: &History, rules: &Rules) -> Verdict {
    match check(history, rules) {
        Verdict::Wrong(violation) => Verdict::Wrong(shrink::shrink(history, rules, violation)),
        other @ (Verdict::Right(_) | Verdict::Undecided { .. }) => other,
    }
}
