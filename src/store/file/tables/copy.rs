//! Copies of the database: all rows as of one instant, and a new database that is made of them. Blocking. Does not know
//! how rows get from one to the other.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::database::Tables;
use super::schema::{CHANGES, ChangeKey, Fault, REVOCATIONS, SESSIONS, fault, open};

/// Bytes that are copied in one transaction.
const COPIED_BYTES: usize = 8 << 20;

/// A row of a table, as it is copied.
pub(in crate::store::file) struct CopiedRow<'a> {
    /// Which table, by its number.
    pub(in crate::store::file) table: u8,
    pub(in crate::store::file) key: &'a [u8],
    pub(in crate::store::file) value: &'a [u8],
}

/// The numbers of the tables.
const CHANGES_NUMBER: u8 = 1;
const SESSIONS_NUMBER: u8 = 2;
const REVOCATIONS_NUMBER: u8 = 3;

impl Tables {
    /// Calls `each` with all rows as of one instant, whatever is written meanwhile.
    pub(in crate::store::file) fn rows(
        &self,
        mut each: impl FnMut(CopiedRow<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let transaction = {
            let database = self.database.read();
            database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?
        };
        for row in transaction.open_table(CHANGES).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            each(CopiedRow { table: CHANGES_NUMBER, key: key.value(), value: value.value() })?;
        }
        for row in transaction.open_table(SESSIONS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            each(CopiedRow { table: SESSIONS_NUMBER, key: key.value(), value: value.value() })?;
        }
        for row in transaction.open_table(REVOCATIONS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            let (key, value) = (key.value().as_bytes(), value.value().as_bytes());
            each(CopiedRow { table: REVOCATIONS_NUMBER, key, value })?;
        }
        Ok(())
    }
}

/// A new database that is filled with another one's rows.
pub(in crate::store::file) struct DatabaseCopy {
    database: Database,
    rows: Vec<(u8, Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl DatabaseCopy {
    /// A new one.
    pub(in crate::store::file) fn create(path: &Path) -> Result<Self, Fault> {
        Ok(Self { database: open(path).map_err(fault)?, rows: Vec::new(), bytes: 0 })
    }

    /// Adds a row.
    pub(in crate::store::file) fn add(&mut self, CopiedRow { table, key, value }: CopiedRow<'_>) -> Result<(), Fault> {
        self.bytes += key.len() + value.len();
        self.rows.push((table, key.to_vec(), value.to_vec()));
        if self.bytes < COPIED_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes what is left, and lets it go.
    pub(in crate::store::file) fn finish(mut self) -> Result<(), Fault> {
        self.write()?;
        self.database.close().map_err(fault)
    }

    fn write(&mut self) -> Result<(), Fault> {
        let transaction = self.database.begin_write().map_err(fault)?;
        {
            let mut changes = transaction.open_table(CHANGES).map_err(fault)?;
            let mut sessions = transaction.open_table(SESSIONS).map_err(fault)?;
            let mut revocations = transaction.open_table(REVOCATIONS).map_err(fault)?;
            for (table, key, value) in self.rows.drain(..) {
                match table {
                    CHANGES_NUMBER => {
                        let key: &ChangeKey = key.as_slice().try_into().map_err(|_| "a key has another length")?;
                        changes.insert(key, value.as_slice()).map_err(fault)?;
                    }
                    SESSIONS_NUMBER => {
                        let key: &[u8; 16] = key.as_slice().try_into().map_err(|_| "a key has another length")?;
                        sessions.insert(key, value.as_slice()).map_err(fault)?;
                    }
                    REVOCATIONS_NUMBER => {
                        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| "a revocation is no text");
                        revocations.insert(text(key)?.as_str(), text(value)?.as_str()).map_err(fault)?;
                    }
                    _ => return Err(format!("there is no table {table}")),
                }
            }
        }
        self.bytes = 0;
        transaction.commit().map_err(fault)
    }
}
