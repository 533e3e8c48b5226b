//! Which database this is, whatever it is called: two servers that write to the same one must agree, and those that do not
//! must not be taken for one. Does not know what it is compared with.

use std::time::Duration;

use super::server::PostgresServer;

/// How long it may think about it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// The cluster's own number, which its replicas share, and the database's in it. Blocks.
///
/// # Errors
///
/// When the server cannot be asked, or does not answer.
pub fn identity(server: &PostgresServer) -> Result<String, String> {
    const SQL: &str = "select s.system_identifier::text || ' / ' || d.oid::text
        from pg_control_system() s, pg_database d where d.datname = current_database()";
    let mut connection = server.connect(STATEMENT_TIMEOUT).map_err(|failure| failure.to_string())?;
    let asked = connection.ask(2 * STATEMENT_TIMEOUT, async |client| client.query_one(SQL, &[]).await?.try_get(0));
    asked.map_err(|failure| failure.to_string())
}
