//! A connection to PostgreSQL, used from a thread: each query has a timeout of its own, whatever the server does. Does not
//! know the queries.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, Socket};

/// A connection. Made, used and dropped on threads, never in a task.
pub struct PostgresConnection {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    client: Client,
}

/// Why a query or a login failed.
#[derive(Debug)]
pub enum PostgresError {
    /// The server reported an error, or the connection was lost.
    Postgres(Error),
    /// The server did not answer in time. The connection cannot be used any more.
    Timeout(Duration),
    /// The server could not be reached; why.
    Unreachable(String),
}

impl PostgresConnection {
    /// Logs in at an address, within `timeout`.
    pub(super) fn open<T>(address: &Config, tls: T, timeout: Duration) -> Result<Self, PostgresError>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let runtime = runtime().map_err(|error| PostgresError::Unreachable(error.to_string()))?;
        let client = runtime.block_on(log_in(address, tls, timeout));
        match client {
            Ok(client) => Ok(Self { runtime: Some(runtime), client }),
            Err(failure) => {
                runtime.shutdown_background();
                Err(failure)
            }
        }
    }

    /// Asks something, and waits for the answer no longer than `timeout`.
    pub fn ask<T>(
        &mut self,
        timeout: Duration,
        question: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, PostgresError> {
        let Self { runtime, client } = self;
        let runtime =
            runtime.as_ref().ok_or_else(|| PostgresError::Unreachable("the connection is closed".to_owned()))?;
        runtime.block_on(within(timeout, question(client)))
    }

    /// Whether it is known to be lost.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Drop for PostgresConnection {
    fn drop(&mut self) {
        // A name may still be looked up.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl fmt::Debug for PostgresConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresConnection")
    }
}

/// Looks up a host's name.
pub(super) fn look_up(host: &str, port: u16, timeout: Duration) -> Result<Vec<IpAddr>, PostgresError> {
    let failed = |error: io::Error| PostgresError::Unreachable(format!("{host}: {error}"));
    let runtime = runtime().map_err(failed)?;
    let found = runtime.block_on(async { tokio::time::timeout(timeout, tokio::net::lookup_host((host, port))).await });
    let found = match found {
        Ok(found) => found.map(|found| found.map(|address| address.ip()).collect()).map_err(failed),
        Err(_) => Err(PostgresError::Unreachable(format!("{host}: its name was not found out within {timeout:?}"))),
    };
    runtime.shutdown_background();
    found
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn log_in<T>(address: &Config, tls: T, timeout: Duration) -> Result<Client, PostgresError>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = within(timeout, address.connect(tls)).await?;
    // It ends with its runtime, and says through the client how.
    tokio::spawn(connection);
    Ok(client)
}

async fn within<T>(timeout: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, PostgresError> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer.map_err(PostgresError::Postgres),
        Err(_) => Err(PostgresError::Timeout(timeout)),
    }
}

impl PostgresError {
    /// What the server says is wrong, if it was the server that refused.
    pub(super) fn answer(&self) -> Option<&DbError> {
        match self {
            PostgresError::Postgres(error) => error.as_db_error(),
            PostgresError::Timeout(_) | PostgresError::Unreachable(_) => None,
        }
    }

    /// The SQLSTATE of what the server says.
    pub(super) fn state(&self) -> Option<&SqlState> {
        self.answer().map(DbError::code)
    }
}

impl From<Error> for PostgresError {
    fn from(error: Error) -> Self {
        PostgresError::Postgres(error)
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PostgresError::Postgres(error) => f.write_str(&described(error)),
            PostgresError::Timeout(timeout) => write!(f, "no answer within {timeout:?}"),
            PostgresError::Unreachable(why) => f.write_str(why),
        }
    }
}

/// An error with its cause, which the library keeps out of its own words.
pub(super) fn described(error: &Error) -> String {
    if let Some(answer) = error.as_db_error() {
        let detail = answer.detail().map(|detail| format!("; {detail}")).unwrap_or_default();
        return format!("{}{detail} (SQLSTATE {})", answer.message(), answer.code().code());
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
