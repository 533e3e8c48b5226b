//! Whether the audit has every change that was acknowledged, once. Does not know how it is written.

use std::collections::BTreeMap;

use histories::Tag;
use test_support::sessions::id;

use super::record::Record;
use super::site::Site;

/// What the audit has.
#[derive(Debug, Default)]
pub(super) struct Audit {
    pub(super) rows: u64,
    /// Changes that were acknowledged and have no row.
    pub(super) missing: u64,
    /// Rows beyond the first of a change.
    pub(super) duplicates: u64,
    pub(super) problems: Vec<String>,
}

/// Looks each acknowledged change up, when nothing is queued any more.
pub(super) async fn look_up(site: &mut Site, record: &Record) -> Audit {
    site.drained().await;
    let mut audit = Audit::default();
    for session in 0..record.count() {
        let rows: BTreeMap<_, _> = site.audited(&id(session)).await.into_iter().collect();
        audit.rows += rows.values().sum::<u64>();
        audit.duplicates += rows.values().map(|count| count - 1).sum::<u64>();
        let told = record.acknowledged(session);
        let missing: Vec<_> =
            told.iter().filter(|Tag { epoch, version }| !rows.contains_key(&(*epoch, *version))).collect();
        if !missing.is_empty() && !site.kind.may_lose() {
            let some = &missing[..missing.len().min(5)];
            audit
                .problems
                .push(format!("session {session}: {} acknowledged changes have no row: {some:?}", missing.len()));
        }
        audit.missing += missing.len() as u64;
    }
    if audit.duplicates > 0 {
        audit.problems.push(format!("{} rows too many", audit.duplicates));
    }
    audit
}
