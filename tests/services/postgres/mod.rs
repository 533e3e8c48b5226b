//! The sink and the archive in a real PostgreSQL.

mod archive;
mod bytes;
mod hosts;
mod order;
mod refused;
mod retention;
mod schema;
mod speed;
mod tls;
mod upgrade;
mod written;

use postgres::Client;
use synckairos::audit::{Sink, WriteError};
use synckairos::postgres::{PostgresServer, PostgresSink, migrate_server};

use test_support::postgres::Database;

/// A server by its URL.
pub(crate) fn server(url: &str) -> PostgresServer {
    PostgresServer::parse(url).expect("a URL")
}

/// A database with its tables, a connection of the test's own, and a writer.
pub(crate) fn migrated() -> (Database, Client, PostgresSink) {
    let database = Database::create();
    let client = database.connect();
    migrate_server(&server(&database.url())).expect("the database is empty");
    let sink = PostgresSink::new(server(&database.url()));
    (database, client, sink)
}

/// Writes jobs in one batch.
fn write(sink: &mut PostgresSink, jobs: &[Vec<u8>]) -> Result<(), WriteError> {
    sink.write(&jobs.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// All rows of a query as one text.
fn rows(client: &mut Client, sql: &str) -> String {
    let sql = format!("select coalesce(json_agg(it)::text, '') from ({sql}) as it");
    client.query_one(&sql, &[]).expect("the query fits").get(0)
}
