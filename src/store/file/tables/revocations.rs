//! Revocations in the database. Blocking. Does not know who waits for a write.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::wire::{self, Revocation};

use super::schema::{Fault, REVOCATIONS, fault};

/// All that are kept.
pub(super) fn read(transaction: &ReadTransaction) -> Result<Vec<Revocation>, Fault> {
    let mut all = Vec::new();
    for row in transaction.open_table(REVOCATIONS).map_err(fault)?.iter().map_err(fault)? {
        let (name, text) = row.map_err(fault)?;
        let revocation = wire::read_revocation(text.value());
        all.push(revocation.ok_or_else(|| format!("what is kept of {:?} cannot be read", name.value()))?);
    }
    Ok(all)
}

/// Writes some, and removes what is over, unless it is written anew.
pub(super) fn write(transaction: &WriteTransaction, revoked: &[Revocation], over: &[Revocation]) -> Result<(), Fault> {
    let mut table = transaction.open_table(REVOCATIONS).map_err(fault)?;
    for one in over {
        table.remove(one.target.name().as_str()).map_err(fault)?;
    }
    for one in revoked {
        table.insert(one.target.name().as_str(), wire::revocation_text(one).as_str()).map_err(fault)?;
    }
    Ok(())
}
