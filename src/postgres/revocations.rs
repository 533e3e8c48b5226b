//! Revocations in PostgreSQL, beside those in Redis: for one that has lost its own. Does not know what is revoked by them.

use tokio_postgres::{Client, Error, Row};

use crate::engine::Timestamp;
use crate::store::{KeptRevocations, RevocationStore, StoreFuture};
use crate::wire::{Revocation, RevocationTarget};

use super::archive::PostgresArchive;

/// Revocations that are written in one statement.
const CHUNK: usize = 1_000;

impl RevocationStore for PostgresArchive {
    fn keep(&self, revocations: Vec<Revocation>, _: Vec<Revocation>) -> StoreFuture<'_, ()> {
        Self::ask(&self.pages, async move |client| keep(client, &revocations).await)
    }

    fn kept(&self, _: bool) -> StoreFuture<'_, Option<KeptRevocations>> {
        Self::ask(&self.pages, async move |client| {
            let all = "select target, floor(extract(epoch from issued_before) * 1000)::bigint as issued_before_ms, \
                       floor(extract(epoch from until) * 1000)::bigint as until_ms from sync_revocations";
            let rows = client.query(all, &[]).await?;
            let revocations: Vec<_> = rows.iter().map(read).collect::<Result<_, Error>>()?;
            let is_empty = revocations.is_empty();
            Ok(Some(KeptRevocations { revocations: revocations.into_iter().flatten().collect(), is_empty }))
        })
    }
}

/// Writes some, and removes what is over.
async fn keep(client: &mut Client, revocations: &[Revocation]) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction.execute("delete from sync_revocations where until < now()", &[]).await?;
    // In one order, so that two who write the same do not wait for each other.
    let mut named: Vec<_> = revocations.iter().map(|one| (one.target.name(), one)).collect();
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    for some in named.chunks(CHUNK) {
        let targets: Vec<_> = some.iter().map(|(name, _)| name.as_str()).collect();
        let issued_before: Vec<_> = some.iter().map(|(_, one)| one.issued_before.map(ms)).collect();
        let until: Vec<_> = some.iter().map(|(_, one)| ms(one.until)).collect();
        let write = include_str!("../../sql/write_revocations.sql");
        transaction.execute(write, &[&targets, &issued_before, &until]).await?;
    }
    transaction.commit().await
}

fn ms(at: Timestamp) -> i64 {
    i64::try_from(at.as_ms()).unwrap_or(i64::MAX)
}

/// A row; `None` when a newer version wrote it.
fn read(row: &Row) -> Result<Option<Revocation>, Error> {
    let instant = |ms: i64| Timestamp::from_ms(u64::try_from(ms).unwrap_or_default());
    let issued_before: Option<i64> = row.try_get("issued_before_ms")?;
    let until: i64 = row.try_get("until_ms")?;
    let target = RevocationTarget::named(row.try_get("target")?);
    Ok(target.map(|target| Revocation { target, issued_before: issued_before.map(instant), until: instant(until) }))
}
