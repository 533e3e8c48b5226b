//! The tables, and how they come to be: numbered migrations that only go forward. Does not know what is written
//! into them.

use std::fmt;
use std::time::Duration;

use postgres::{Client, Error, Transaction};

use super::server::{Server, described};

/// In order; a name begins with its number.
const MIGRATIONS: [(&str, &str); 1] = [("0001_schema", include_str!("../../sql/0001_schema.sql"))];

/// Held while a migration is applied, so that instances that start together do it one after the other.
const LOCK: i64 = 0x0053_796e_634b_6169;

/// How long anything but a migration may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long other instances' migrations are waited for, and one may take.
const TIMEOUT: &str = "10min";

/// Which migrations were applied now, by name; none when there was nothing to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// In order.
    pub applied: Vec<&'static str>,
}

/// Why the tables are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrateError {
    /// A newer program has migrated the database, by the migration of this name: this one must not write into it.
    Newer(String),
    /// The database refused, or is away.
    Database(String),
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MigrateError::Newer(name) => write!(
                f,
                "the database has the migration {name}, which this version does not know: it belongs to a newer one"
            ),
            MigrateError::Database(why) => write!(f, "the database cannot be migrated: {why}"),
        }
    }
}

impl From<Error> for MigrateError {
    fn from(error: Error) -> Self {
        MigrateError::Database(described(&error))
    }
}

/// Connects to a server and applies what is missing. Blocks; not to be called in a task.
pub fn migrate_server(server: &Server) -> Result<Migrated, MigrateError> {
    migrate(&mut server.connect(STATEMENT_TIMEOUT)?)
}

/// Applies what is missing, each migration in a transaction of its own. Any number of instances may do so at once.
pub fn migrate(client: &mut Client) -> Result<Migrated, MigrateError> {
    let mut migrated = Migrated::default();
    loop {
        let mut transaction = client.transaction()?;
        transaction.batch_execute(&format!("set local statement_timeout = '{TIMEOUT}'"))?;
        transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK])?;
        let applied = applied(&mut transaction)?;
        let last = MIGRATIONS[MIGRATIONS.len() - 1].0;
        let is_known = |name: &String| MIGRATIONS.iter().any(|(known, _)| known == name);
        if let Some(newer) = applied.iter().find(|name| !is_known(name) && name.as_str() > last) {
            return Err(MigrateError::Newer(newer.clone()));
        }
        let Some((name, sql)) = MIGRATIONS.iter().find(|(name, _)| !applied.iter().any(|it| it == name)) else {
            transaction.commit()?;
            return Ok(migrated);
        };
        transaction.batch_execute(sql)?;
        transaction.execute("insert into sync_migrations (name) values ($1)", &[name])?;
        transaction.commit()?;
        migrated.applied.push(name);
    }
}

/// The names of the migrations that were applied, in order. Makes their table only when it is missing: whoever
/// finds all done needs no right to create.
fn applied(transaction: &mut Transaction<'_>) -> Result<Vec<String>, Error> {
    let exists = transaction.query_one("select to_regclass('sync_migrations') is not null", &[])?;
    if !exists.get::<_, bool>(0) {
        transaction.batch_execute(
            "create table sync_migrations (name text primary key, applied_at timestamptz not null default now())",
        )?;
    }
    let rows = transaction.query("select name from sync_migrations order by name collate \"C\"", &[])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
