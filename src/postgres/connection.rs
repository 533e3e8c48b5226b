//! A connection to PostgreSQL, used from a thread: each question has a deadline of ours, whatever the server does. Does not
//! know what is asked.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, Socket};

/// A connection. Made, used and dropped on threads, never in a task.
pub struct Connection {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    client: Client,
}

/// Why the database did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// It said so, or the connection was lost.
    Postgres(Error),
    /// It did not answer in time. The connection is of no use any more.
    Silent(Duration),
    /// It could not be reached, in words.
    Unreached(String),
}

impl Connection {
    /// Logs in at an address, within `patience`.
    pub(super) fn open<T>(address: &Config, tls: T, patience: Duration) -> Result<Self, Failure>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let runtime = runtime().map_err(|error| Failure::Unreached(error.to_string()))?;
        let client = runtime.block_on(log_in(address, tls, patience));
        match client {
            Ok(client) => Ok(Self { runtime: Some(runtime), client }),
            Err(failure) => {
                runtime.shutdown_background();
                Err(failure)
            }
        }
    }

    /// Asks something, and waits for the answer no longer than `patience`.
    pub fn ask<T>(
        &mut self,
        patience: Duration,
        question: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let Self { runtime, client } = self;
        let runtime = runtime.as_ref().ok_or_else(|| Failure::Unreached("the connection is closed".to_owned()))?;
        runtime.block_on(within(patience, question(client)))
    }

    /// Whether it is of no use any more, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A name may still be looked up.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// Looks up a host's name.
pub(super) fn look_up(host: &str, port: u16, patience: Duration) -> Result<Vec<IpAddr>, Failure> {
    let failed = |error: io::Error| Failure::Unreached(format!("{host}: {error}"));
    let runtime = runtime().map_err(failed)?;
    let found = runtime.block_on(async { tokio::time::timeout(patience, tokio::net::lookup_host((host, port))).await });
    let found = match found {
        Ok(found) => found.map(|found| found.map(|address| address.ip()).collect()).map_err(failed),
        Err(_) => Err(Failure::Unreached(format!("{host}: its name was not found out within {patience:?}"))),
    };
    runtime.shutdown_background();
    found
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn log_in<T>(address: &Config, tls: T, patience: Duration) -> Result<Client, Failure>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = within(patience, address.connect(tls)).await?;
    // It ends with its runtime, and says through the client how.
    tokio::spawn(connection);
    Ok(client)
}

async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer.map_err(Failure::Postgres),
        Err(_) => Err(Failure::Silent(patience)),
    }
}

impl Failure {
    /// What the server says is wrong, if it was the server that refused.
    pub(super) fn answer(&self) -> Option<&DbError> {
        match self {
            Failure::Postgres(error) => error.as_db_error(),
            Failure::Silent(_) | Failure::Unreached(_) => None,
        }
    }

    /// The SQLSTATE of what the server says.
    pub(super) fn state(&self) -> Option<&SqlState> {
        self.answer().map(DbError::code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Postgres(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Postgres(error) => f.write_str(&described(error)),
            Failure::Silent(patience) => write!(f, "no answer within {patience:?}"),
            Failure::Unreached(why) => f.write_str(why),
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
