//! The revocations that are in force, in memory, so that a token is compared with them without asking anybody. Bounded. Does not
//! know where else they are kept, nor when a token is judged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::engine::{SessionId, Timestamp};
use crate::wire::{Revocation, RevocationTarget};

/// Revocations at most.
const REVOCATIONS_MAX: usize = 100_000;

/// The revocations.
#[derive(Debug, Default)]
pub(super) struct RevocationSet {
    subjects: HashMap<Arc<str>, RevocationTerms>,
    in_sessions: HashMap<Arc<str>, BTreeMap<SessionId, RevocationTerms>>,
    tokens: HashMap<Arc<str>, RevocationTerms>,
    count: usize,
    /// When the first of them is over, at the earliest.
    first_end: Option<Timestamp>,
}

/// Which tokens of somebody are revoked, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RevocationTerms {
    issued_before: Option<Timestamp>,
    until: Timestamp,
}

impl RevocationTerms {
    fn of(revocation: &Revocation) -> Self {
        Self { issued_before: revocation.issued_before, until: revocation.until }
    }

    /// Both: whatever one of them revokes, at least as long.
    fn and(self, other: Self) -> Self {
        let issued_before = self.issued_before.zip(other.issued_before).map(|(one, other)| one.max(other));
        Self { issued_before, until: self.until.max(other.until) }
    }

    /// Whether a token that was made then is revoked. One that does not say when counts as an old one.
    fn holds(self, issued: Option<Timestamp>, now: Timestamp) -> bool {
        let is_old = match (issued, self.issued_before) {
            (Some(issued), Some(before)) => issued < before,
            (None, _) | (_, None) => true,
        };
        is_old && now < self.until
    }

    fn is_over(self, now: Timestamp) -> bool {
        self.until <= now
    }
}

impl RevocationSet {
    /// What a revocation and the one that there is of the same tokens come to together.
    pub(super) fn joined(&self, new: &Revocation) -> Revocation {
        let terms = RevocationTerms::of(new);
        let RevocationTerms { issued_before, until } = self.terms(&new.target).map_or(terms, |known| known.and(terms));
        Revocation { target: new.target.clone(), issued_before, until }
    }

    /// The revocation that there is of such tokens.
    pub(super) fn find(&self, target: &RevocationTarget) -> Option<Revocation> {
        let RevocationTerms { issued_before, until } = self.terms(target)?;
        Some(Revocation { target: target.clone(), issued_before, until })
    }

    /// Whether one more of such tokens fits.
    pub(super) fn has_room(&self, target: &RevocationTarget) -> bool {
        self.count < REVOCATIONS_MAX || self.terms(target).is_some()
    }

    /// Adds one, unless it is over or does not fit; returns whether it says something new.
    pub(super) fn add(&mut self, new: &Revocation, now: Timestamp) -> bool {
        let terms = RevocationTerms::of(&self.joined(new));
        if terms.is_over(now) || self.terms(&new.target) == Some(terms) || !self.has_room(&new.target) {
            return false;
        }
        let known = match &new.target {
            RevocationTarget::Subject(subject) => self.subjects.insert(Arc::clone(subject), terms),
            RevocationTarget::SubjectIn(id, subject) => {
                self.in_sessions.entry(Arc::clone(subject)).or_default().insert(*id, terms)
            }
            RevocationTarget::Token(id) => self.tokens.insert(Arc::clone(id), terms),
        };
        self.count += usize::from(known.is_none());
        self.first_end = Some(self.first_end.map_or(terms.until, |end| end.min(terms.until)));
        true
    }

    /// Forgets those that are over; returns whether there were any.
    pub(super) fn forget_ended(&mut self, now: Timestamp) -> bool {
        if self.first_end.is_none_or(|end| now < end) {
            return false;
        }
        let before = self.count;
        self.subjects.retain(|_, terms| !terms.is_over(now));
        self.tokens.retain(|_, terms| !terms.is_over(now));
        self.in_sessions.retain(|_, sessions| {
            sessions.retain(|_, terms| !terms.is_over(now));
            !sessions.is_empty()
        });
        let in_sessions: usize = self.in_sessions.values().map(BTreeMap::len).sum();
        self.count = self.subjects.len() + self.tokens.len() + in_sessions;
        self.first_end = self.all().into_iter().map(|revocation| revocation.until).min();
        self.count < before
    }

    /// Whether a token counts no more, wherever.
    pub(super) fn has(&self, subject: &str, token: Option<&str>, issued: Option<Timestamp>, now: Timestamp) -> bool {
        let of_subject = self.subjects.get(subject);
        let of_token = token.and_then(|token| self.tokens.get(token));
        of_subject.into_iter().chain(of_token).any(|terms| terms.holds(issued, now))
    }

    /// The sessions in which a token counts no more, in order.
    pub(super) fn sessions(&self, subject: &str, issued: Option<Timestamp>, now: Timestamp) -> Box<[SessionId]> {
        let all = self.in_sessions.get(subject).into_iter().flatten();
        all.filter(|(_, terms)| terms.holds(issued, now)).map(|(id, _)| *id).collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Revocation> {
        let subjects =
            self.subjects.iter().map(|(subject, terms)| (RevocationTarget::Subject(Arc::clone(subject)), *terms));
        let in_sessions = self.in_sessions.iter().flat_map(|(subject, sessions)| {
            let target = move |id| RevocationTarget::SubjectIn(id, Arc::clone(subject));
            sessions.iter().map(move |(id, terms)| (target(*id), *terms))
        });
        let tokens = self.tokens.iter().map(|(id, terms)| (RevocationTarget::Token(Arc::clone(id)), *terms));
        let all = subjects.chain(in_sessions).chain(tokens);
        let revocation =
            |(target, RevocationTerms { issued_before, until })| Revocation { target, issued_before, until };
        all.map(revocation).collect()
    }

    fn terms(&self, target: &RevocationTarget) -> Option<RevocationTerms> {
        match target {
            RevocationTarget::Subject(subject) => self.subjects.get(subject),
            RevocationTarget::SubjectIn(id, subject) => self.in_sessions.get(subject)?.get(id),
            RevocationTarget::Token(id) => self.tokens.get(id),
        }
        .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Uuid;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn revocation(target: RevocationTarget, issued_before: Option<u64>, until: u64) -> Revocation {
        Revocation { target, issued_before: issued_before.map(at), until: at(until) }
    }

    fn subject(name: &str) -> RevocationTarget {
        RevocationTarget::Subject(name.into())
    }

    #[test]
    fn a_token_is_revoked_by_its_subject_or_its_name_and_by_when_it_was_made() {
        let mut set = RevocationSet::default();
        assert!(set.add(&revocation(subject("a"), Some(50), 100), at(10)));
        assert!(set.add(&revocation(RevocationTarget::Token("t".into()), None, 100), at(10)));
        for (name, token, issued, now, expected) in [
            ("a", None, Some(49), 10, true),
            ("a", None, Some(50), 10, false),
            ("a", None, None, 10, true),
            ("a", None, Some(49), 99, true),
            ("a", None, Some(49), 100, false),
            ("b", None, None, 10, false),
            ("t", None, None, 10, false),
            ("b", Some("t"), Some(9_000), 10, true),
            ("b", Some("a"), None, 10, false),
            ("b", Some("t"), None, 100, false),
        ] {
            let found = set.has(name, token, issued.map(at), at(now));
            assert_eq!(found, expected, "{name} {token:?} {issued:?} at {now}");
        }
    }

    #[test]
    fn in_a_session_it_is_revoked_there_alone() {
        let mut set = RevocationSet::default();
        let id = |n| SessionId(Uuid::from_bits(n));
        for n in [3, 1, 2] {
            set.add(&revocation(RevocationTarget::SubjectIn(id(n), "a".into()), Some(50), 100 * n as u64), at(10));
        }
        assert!(!set.has("a", None, None, at(10)));
        assert_eq!(*set.sessions("a", Some(at(49)), at(150)), [id(2), id(3)]);
        assert_eq!(*set.sessions("a", Some(at(50)), at(10)), []);
        assert_eq!(*set.sessions("b", None, at(10)), []);
        assert!(set.forget_ended(at(200)) && !set.forget_ended(at(200)));
        assert_eq!(set.all(), [revocation(RevocationTarget::SubjectIn(id(3), "a".into()), Some(50), 300)]);
    }

    #[test]
    fn what_says_the_same_is_nothing_new_and_two_are_as_wide_as_both() {
        let mut set = RevocationSet::default();
        assert!(set.add(&revocation(subject("a"), Some(50), 100), at(10)));
        assert!(!set.add(&revocation(subject("a"), Some(40), 90), at(10)));
        assert!(!set.add(&revocation(subject("b"), Some(40), 10), at(10)), "it is over");
        assert!(set.add(&revocation(subject("a"), Some(60), 80), at(10)));
        assert_eq!(set.find(&subject("a")), Some(revocation(subject("a"), Some(60), 100)));
        assert!(set.add(&revocation(subject("a"), None, 80), at(10)));
        assert_eq!(set.all(), [revocation(subject("a"), None, 100)]);
    }

    #[test]
    fn there_are_only_so_many() {
        let mut set = RevocationSet::default();
        for n in 0..REVOCATIONS_MAX {
            assert!(set.add(&revocation(subject(&n.to_string()), None, 100 + n as u64 % 2), at(10)));
        }
        assert!(!set.has_room(&subject("one more")) && set.has_room(&subject("7")));
        assert!(!set.add(&revocation(subject("one more"), None, 100), at(10)));
        assert!(set.add(&revocation(subject("7"), None, 200), at(10)), "it is there already");
        assert!(set.forget_ended(at(100)));
        assert!(set.has_room(&subject("one more")));
    }
}
