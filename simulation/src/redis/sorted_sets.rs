//! Sorted sets and their commands. Scores are whole numbers wherever the server uses them, and so they are written.

use std::collections::{BTreeMap, BTreeSet};

use super::args::{Args, Result, integer, is, range, score, syntax_error};
use super::keyspace::Keyspace;
use super::reply::Reply;

/// Members by score, and by name where the score is the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SortedSet {
    scores: BTreeMap<Vec<u8>, f64>,
    order: BTreeSet<(Score, Vec<u8>)>,
}

/// A score that is a number, so that it has an order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl SortedSet {
    pub(super) fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Gives a member a score; returns the one before.
    fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let old = self.scores.insert(member.to_vec(), score);
        if let Some(old) = old {
            self.order.remove(&(Score(old), member.to_vec()));
        }
        self.order.insert((Score(score), member.to_vec()));
        old
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        let old = self.scores.remove(member);
        old.is_some_and(|old| self.order.remove(&(Score(old), member.to_vec())))
    }
}

/// `ZADD key [NX] score member [score member ...]`.
pub(super) fn zadd(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let (only_new, pairs) = match &args[1..] {
        [option, pairs @ ..] if is(option, "NX") => (true, pairs),
        pairs => (false, pairs),
    };
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(syntax_error());
    }
    let score = |pair: &[Vec<u8>]| score(&pair[0], "value is not a valid float");
    let scores: Vec<f64> = pairs.chunks(2).map(score).collect::<Result<_>>()?;
    if only_new && keys.read::<SortedSet>(&args[0])?.is_none() && pairs.is_empty() {
        return Ok(Reply::Int(0));
    }
    keys.change::<SortedSet, _>(&args[0], |set| {
        let (mut added, mut is_changed) = (0, false);
        for (pair, score) in pairs.chunks(2).zip(scores) {
            if only_new && set.scores.contains_key(&pair[1]) {
                continue;
            }
            match set.insert(&pair[1], score) {
                None => (added, is_changed) = (added + 1, true),
                Some(old) => is_changed |= old != score,
            }
        }
        (Reply::count(added), is_changed)
    })
}

pub(super) fn zrem(keys: &mut Keyspace, args: Args<'_>) -> Result {
    if keys.read::<SortedSet>(&args[0])?.is_none() {
        return Ok(Reply::Int(0));
    }
    keys.change::<SortedSet, _>(&args[0], |set| {
        let gone = args[1..].iter().filter(|member| set.remove(member)).count();
        (Reply::count(gone), gone > 0)
    })
}

pub(super) fn zcard(keys: &mut Keyspace, args: Args<'_>) -> Result {
    Ok(Reply::count(keys.read::<SortedSet>(&args[0])?.map_or(0, |set| set.scores.len())))
}

pub(super) fn zscore(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let set = keys.read::<SortedSet>(&args[0])?;
    Ok(Reply::bulk_or_nil(set.and_then(|set| set.scores.get(&args[1])).map(|&score| text(score))))
}

/// `ZRANGE key start stop [BYSCORE] [LIMIT offset count] [WITHSCORES]`.
pub(super) fn zrange(keys: &mut Keyspace, args: Args<'_>) -> Result {
    let (mut by_score, mut limit, mut with_scores) = (false, None, false);
    let mut options = args[3..].iter();
    while let Some(option) = options.next() {
        if is(option, "BYSCORE") {
            by_score = true;
        } else if is(option, "WITHSCORES") {
            with_scores = true;
        } else if is(option, "LIMIT") {
            let (Some(offset), Some(count)) = (options.next(), options.next()) else { return Err(syntax_error()) };
            limit = Some((integer(offset)?, integer(count)?));
        } else {
            return Err(syntax_error());
        }
    }
    if limit.is_some() && !by_score {
        let why = "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
        return Err(Reply::err(why));
    }
    let bounds = if by_score {
        let what = "min or max is not a float";
        Bounds::Scores(score(&args[1], what)?, score(&args[2], what)?)
    } else {
        Bounds::Ranks(integer(&args[1])?, integer(&args[2])?)
    };
    let Some(set) = keys.read::<SortedSet>(&args[0])? else { return Ok(Reply::Array(Vec::new())) };
    let mut replies = Vec::new();
    for (Score(score), member) in bounds.of(set, limit.unwrap_or((0, -1))) {
        replies.push(Reply::Bulk(member.clone()));
        if with_scores {
            replies.push(Reply::Bulk(text(*score)));
        }
    }
    Ok(Reply::Array(replies))
}

enum Bounds {
    Scores(f64, f64),
    Ranks(i64, i64),
}

impl Bounds {
    /// The members between them, `limit.1` at most from the one at `limit.0` on; a negative count is none.
    fn of(self, set: &SortedSet, limit: (i64, i64)) -> Vec<&(Score, Vec<u8>)> {
        match self {
            Self::Ranks(start, stop) => match range(set.order.len(), start, stop) {
                Some(range) => set.order.iter().skip(*range.start()).take(range.count()).collect(),
                None => Vec::new(),
            },
            Self::Scores(min, max) => {
                let between = set.order.iter().filter(|(Score(score), _)| (min..=max).contains(score));
                let Ok(offset) = usize::try_from(limit.0) else { return Vec::new() };
                between.skip(offset).take(usize::try_from(limit.1).unwrap_or(usize::MAX)).collect()
            }
        }
    }
}

fn text(score: f64) -> Vec<u8> {
    match score {
        f64::INFINITY => b"inf".to_vec(),
        f64::NEG_INFINITY => b"-inf".to_vec(),
        _ => format!("{score}").into_bytes(),
    }
}
