//! The schema: numbered migrations that only go forward, each of which creates what is missing and leaves what is there. Does
//! not know what is written into the tables.

use std::fmt;
use std::time::Duration;

use tokio_postgres::{Client, Error, Transaction};

use super::connection::{PostgresConnection, PostgresError, described};
use super::server::PostgresServer;

/// In order; a name begins with its number.
const MIGRATIONS: [(&str, &str); 4] = [
    ("0001_schema", include_str!("../../sql/0001_schema.sql")),
    ("0002_bytes", include_str!("../../sql/0002_bytes.sql")),
    ("0003_revocations", include_str!("../../sql/0003_revocations.sql")),
    ("0004_time_controls", include_str!("../../sql/0004_time_controls.sql")),
];

/// What makes the tables of version 1 those of the first migration.
const VERSION_1: &str = include_str!("../../sql/version_1.sql");

/// The name of that.
const VERSION_1_NAME: &str = "version_1";

/// Whether the tables are those of version 1, and whether all that the migrations make is there.
const SCHEMA_STATE: &str = include_str!("../../sql/schema_state.sql");

/// Held while a migration is applied, so that instances that start together do it one after the other.
const LOCK: i64 = 0x0053_796e_634b_6169;

/// How long anything but a migration may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long other instances' migrations are waited for, and a statement of one may take, which may write every row anew.
const MIGRATION_TIMEOUT: &str = "6h";

/// How long all of it may take, until the server counts as gone: how long is not known before, but not for ever.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long may pass until a server has shown that it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

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

impl From<PostgresError> for MigrateError {
    fn from(failure: PostgresError) -> Self {
        MigrateError::Database(failure.to_string())
    }
}

/// The schema that a database has.
struct DatabaseSchema {
    is_version_1: bool,
    is_whole: bool,
    /// The names of the migrations that were applied, in order.
    applied: Vec<String>,
}

impl DatabaseSchema {
    /// What has to be run, in order: all of it where something is missing although it was applied once.
    fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let is_applied = |name: &str| self.is_whole && self.applied.iter().any(|applied| applied == name);
        let migrations = MIGRATIONS.into_iter().filter(|(name, _)| !is_applied(name));
        let version_1 = self.is_version_1.then_some((VERSION_1_NAME, VERSION_1));
        version_1.into_iter().chain(migrations).collect()
    }

    /// A migration that this program does not know.
    fn newer(&self) -> Option<&String> {
        let last = MIGRATIONS[MIGRATIONS.len() - 1].0;
        let is_known = |name: &String| MIGRATIONS.iter().any(|(known, _)| known == name);
        self.applied.iter().find(|name| !is_known(name) && name.as_str() > last)
    }
}

/// Connects to a server and applies what is missing, in one transaction. Any number of instances may do so at once. Blocks;
/// not to be called in a task.
pub fn migrate_server(server: &PostgresServer) -> Result<Migrated, MigrateError> {
    migrate(&mut server.connect(STATEMENT_TIMEOUT)?)
}

/// The same on a connection.
pub fn migrate(connection: &mut PostgresConnection) -> Result<Migrated, MigrateError> {
    let standing = connection.ask(ANSWER_TIMEOUT, look)?;
    if let Some(newer) = standing.newer() {
        return Err(MigrateError::Newer(newer.clone()));
    }
    // When all is done already, no privilege to create is needed and no lock is waited for.
    if standing.missing().is_empty() {
        return Ok(Migrated::default());
    }
    connection.ask(MIGRATE_TIMEOUT, async |client| Ok(apply(client).await))?
}

/// Applies what is missing once it is this one's turn: another one may have done it meanwhile.
async fn apply(client: &mut Client) -> Result<Migrated, MigrateError> {
    let mut migrated = Migrated::default();
    let transaction = client.transaction().await?;
    transaction.batch_execute(&format!("set local statement_timeout = '{MIGRATION_TIMEOUT}'")).await?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let standing = look_in(&transaction).await?;
    if let Some(newer) = standing.newer() {
        return Err(MigrateError::Newer(newer.clone()));
    }
    let missing = standing.missing();
    if missing.is_empty() {
        return Ok(migrated);
    }
    let table = "create table if not exists sync_migrations \
                 (name text primary key, applied_at timestamptz not null default now())";
    transaction.batch_execute(table).await?;
    for (name, sql) in missing {
        transaction.batch_execute(sql).await?;
        let record =
            "insert into sync_migrations (name) values ($1) on conflict (name) do update set applied_at = now()";
        if name != VERSION_1_NAME {
            transaction.execute(record, &[&name]).await?;
        }
        migrated.applied.push(name);
    }
    transaction.commit().await?;
    Ok(migrated)
}

async fn look(client: &mut Client) -> Result<DatabaseSchema, Error> {
    let transaction = client.transaction().await?;
    look_in(&transaction).await
}

async fn look_in(transaction: &Transaction<'_>) -> Result<DatabaseSchema, Error> {
    let found = transaction.query_one(SCHEMA_STATE, &[]).await?;
    let (has_migrations, is_version_1, is_whole) = (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
    let mut applied = Vec::new();
    if has_migrations {
        for row in transaction.query("select name from sync_migrations order by name collate \"C\"", &[]).await? {
            applied.push(row.try_get(0)?);
        }
    }
    Ok(DatabaseSchema { is_version_1, is_whole, applied })
}
