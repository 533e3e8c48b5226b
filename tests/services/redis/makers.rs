//! Which change made which state, as far as anybody knows: one state is one change's. Each change has a number of its
//! own, which the state shows. Does not know who is asked.

use std::collections::BTreeMap;

use serde_json::Value;

/// Epoch and version.
pub(super) type Tag = (u64, u64);

/// Takes down which change made which state.
#[derive(Debug, Default)]
pub(super) struct Makers(BTreeMap<(u64, Tag), u64>);

impl Makers {
    /// A message that a client saw.
    pub(super) fn seen(&mut self, session: u64, message: &str) {
        let message: Value = serde_json::from_str(message).expect("messages are JSON");
        let state = &message["state"];
        if let (Some(epoch), Some(version)) = (state["epoch"].as_u64(), state["version"].as_u64())
            && let Some(change) = state["metadata"]["change"].as_u64()
        {
            self.made(session, (epoch, version), change);
        }
    }

    pub(super) fn made(&mut self, session: u64, tag: Tag, change: u64) {
        let first = *self.0.entry((session, tag)).or_insert(change);
        assert_eq!(first, change, "session {session}: {tag:?} was given out twice");
    }

    /// The version of the first state of a session that somebody knows of in an epoch that is not before `epoch`.
    pub(super) fn first_since(&self, session: u64, epoch: u64) -> Option<u64> {
        self.0.range((session, (epoch, 0))..(session + 1, (0, 0))).next().map(|((_, (_, version)), _)| *version)
    }

    /// Within an epoch the versions that somebody knows of follow each other, but for what nobody was told of.
    pub(super) fn gaps(&self) -> u64 {
        let tags: Vec<_> = self.0.keys().collect();
        let gap = |pair: &[&(u64, Tag)]| match pair {
            [(one, (epoch, before)), (other, (same, after))] if one == other && epoch == same => after - before - 1,
            _ => 0,
        };
        tags.windows(2).map(gap).sum()
    }
}
