//! The history endpoint: its query and its answer. Does not know where history is stored.

use bytes::Bytes;

use crate::engine::{StateTag, Timestamp};

use super::query;
use super::validation::{FieldProblem, FieldProblems, ProblemCode};
use super::write::Write;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 200;

/// A position in a history: after all changes of a state, or after the first of them. Each change makes a state of its own,
/// but for what version 1 wrote twice, or without a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The state.
    pub tag: StateTag,
    /// How many of its changes were read, if more of them follow.
    pub told: Option<u64>,
}

impl From<StateTag> for Cursor {
    fn from(tag: StateTag) -> Self {
        Self { tag, told: None }
    }
}

/// The requested part of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Changes after this position.
    pub after: Option<Cursor>,
    /// So many at most.
    pub limit: usize,
}

/// Reads `after=<epoch>.<version>&limit=<count>`, where the count of changes that were read may follow the version; `None`
/// when there are problems.
pub fn history_query(query: &str, problems: &mut FieldProblems) -> Option<HistoryQuery> {
    let found = problems.len();
    let given = |name: &str| query::parameter(query, name).filter(|text| !text.is_empty());
    let mut after = None;
    if let Some(text) = given("after") {
        after = cursor(&text);
        if after.is_none() {
            let message = "Must be an epoch and a version with a dot between them".into();
            problems.push(FieldProblem { field: "after".into(), message, code: ProblemCode::InvalidFormat });
        }
    }
    let mut limit = LIMIT_DEFAULT;
    if let Some(text) = given("limit") {
        let (message, code) = match text.parse() {
            Ok(0) => ("Must be at least 1".into(), ProblemCode::TooSmall),
            Ok(number) if number > LIMIT_MAX => (format!("Must be at most {LIMIT_MAX}").into(), ProblemCode::TooBig),
            Ok(number) => {
                limit = number;
                return (problems.len() == found).then_some(HistoryQuery { after, limit });
            }
            Err(_) => ("Must be an integer".into(), ProblemCode::InvalidType),
        };
        problems.push(FieldProblem { field: "limit".into(), message, code });
    }
    (problems.len() == found).then_some(HistoryQuery { after, limit })
}

/// Whether a query says `history=1`.
pub fn names_history(query: &str) -> bool {
    query.split('&').any(|pair| pair == "history=1")
}

fn cursor(text: &str) -> Option<Cursor> {
    let (epoch, version) = text.split_once('.')?;
    let (version, told) = match version.split_once('.') {
        Some((version, told)) => (version, Some(told.parse().ok()?)),
        None => (version, None),
    };
    Some(Cursor { tag: StateTag { epoch: epoch.parse().ok()?, version: version.parse().ok()? }, told })
}

/// A page of history: changes as they were audited.
pub fn history<'c>(
    changes: impl Iterator<Item = &'c [u8]>,
    next: Option<Cursor>,
    has_more: bool,
    queued: Option<StateTag>,
    now: Timestamp,
) -> Bytes {
    let mut out = Vec::with_capacity(16 * 1_024);
    out.raw(r#"{"data":["#);
    for (position, change) in changes.enumerate() {
        if position > 0 {
            out.raw(",");
        }
        out.extend_from_slice(change);
    }
    out.raw(r#"],"has_more":"#);
    out.boolean(has_more);
    for (name, position) in [(r#","next":""#, next), (r#","queued":""#, queued.map(Cursor::from))] {
        if let Some(Cursor { tag: StateTag { epoch, version }, told }) = position {
            out.raw(name);
            out.number(epoch);
            out.raw(".");
            out.number(version);
            if let Some(told) = told {
                out.raw(".");
                out.number(told);
            }
            out.raw("\"");
        }
    }
    out.raw(r#","server_time_ms":"#);
    out.number(now.as_ms());
    out.raw("}");
    out.into()
}

#[cfg(test)]
mod tests {
    use super::{Cursor, HistoryQuery, StateTag, history_query};

    #[test]
    fn reads_queries() {
        let read = |query| {
            let mut problems = Vec::new();
            let read = history_query(query, &mut problems);
            let problems: Vec<_> = problems.into_iter().map(|problem| (problem.field, problem.code.name())).collect();
            read.ok_or(problems)
        };
        assert_eq!(read(""), Ok(HistoryQuery { after: None, limit: 100 }));
        let tag = StateTag { epoch: 17, version: 3 };
        let after = Some(Cursor::from(tag));
        let within = Some(Cursor { tag, told: Some(200) });
        assert_eq!(read("after=17.3.200"), Ok(HistoryQuery { after: within, limit: 100 }));
        for wrong in ["after=17.3.", "after=17.3.x", "after=17.3.1.1", "after=.3"] {
            assert_eq!(read(wrong), Err(vec![("after".to_owned(), "invalid_format")]), "{wrong}");
        }
        assert_eq!(read("x=1&limit=5&after=17.3"), Ok(HistoryQuery { after, limit: 5 }));
        let wrong = vec![("after".to_owned(), "invalid_format"), ("limit".to_owned(), "too_big")];
        assert_eq!(read("%6Cimit=%35&after=17%2e3"), Ok(HistoryQuery { after, limit: 5 }));
        assert_eq!(read("after=17&limit=201"), Err(wrong));
        assert_eq!(read("limit=x"), Err(vec![("limit".to_owned(), "invalid_type")]));
        assert_eq!(read("limit=0"), Err(vec![("limit".to_owned(), "too_small")]));
    }
}
