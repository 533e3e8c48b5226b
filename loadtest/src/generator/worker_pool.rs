//! A pool of connections: each runs its workload, one request after the other, at the pace that is set. Does not know what a
//! workload is for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::failure::{Failure, Result};
use super::http::{Client, Response};
use super::pace::{Pace, Schedule};
use super::sample::SharedSample;
use super::scan;
use super::socket::{self, Socket};
use super::workload::Workload;

/// How long after the end of a slice responses may still come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Workloads, each of which runs over a connection of its own.
pub(crate) struct WorkerPool {
    addresses: Vec<SocketAddr>,
    workloads: Vec<Box<dyn Workload>>,
}

/// An open connection.
enum Connection {
    Http(Client),
    Socket(Socket),
}

impl WorkerPool {
    /// Distributes connections over the addresses, round robin.
    pub(crate) fn new(addresses: &[SocketAddr], workloads: impl IntoIterator<Item = Box<dyn Workload>>) -> Self {
        Self { addresses: addresses.to_vec(), workloads: workloads.into_iter().collect() }
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.workloads.len()
    }

    /// Opens the connections, runs all workloads for a slice of time, and records latencies into `sample`.
    pub(crate) async fn work(&mut self, pace: Pace, sample: &SharedSample) -> Result<()> {
        let mut connections = Vec::with_capacity(self.workloads.len());
        for (index, workload) in self.workloads.iter().enumerate() {
            let address = self.addresses[index % self.addresses.len()];
            connections.push(match workload.socket() {
                Some(id) => Connection::Socket(Socket::open(address, &id).await?),
                None => Connection::Http(Client::open(address).await?),
            });
        }
        let schedule = Arc::new(Schedule::start(pace, connections.len()));
        sample.lock().begin(schedule.began());
        let mut workers = JoinSet::new();
        for (index, (connection, workload)) in connections.into_iter().zip(self.workloads.drain(..)).enumerate() {
            let (schedule, sample) = (Arc::clone(&schedule), Arc::clone(sample));
            workers.spawn(async move {
                let workload = work(connection, workload, &schedule, &sample).await?;
                Result::Ok((index, workload))
            });
        }
        let mut done = Vec::with_capacity(workers.len());
        let all = async {
            while let Some(ended) = workers.join_next().await {
                done.push(ended.expect("a worker does not panic")?);
            }
            Result::Ok(())
        };
        let limit = match pace {
            Pace::Closed(duration) | Pace::Open(_, duration) => duration + PATIENCE,
            // No server that is worth waiting for takes 1 ms a request and a minute more.
            Pace::Count(count) => PATIENCE + Duration::from_millis(count),
        };
        let too_late = |_| Failure::broken(format!("responses are missing {PATIENCE:?} after the end of a slice"));
        tokio::time::timeout(limit, all).await.map_err(too_late)??;
        let now = Instant::now();
        let mut sample = sample.lock();
        for intended in schedule.unsent() {
            sample.add_unsent(now - intended);
        }
        sample.end(now);
        done.sort_unstable_by_key(|(index, _)| *index);
        self.workloads.extend(done.into_iter().map(|(_, workload)| workload));
        Ok(())
    }
}

async fn work(
    mut connection: Connection,
    mut workload: Box<dyn Workload>,
    schedule: &Schedule,
    sample: &SharedSample,
) -> Result<Box<dyn Workload>> {
    while let Some(intended) = schedule.next().await {
        let sent = schedule.is_open().then(Instant::now);
        connection.round_trip(workload.as_mut(), intended).await?;
        let now = Instant::now();
        sample.lock().add(now, now - intended, sent.map(|sent| now - sent));
    }
    Ok(workload)
}

impl Connection {
    async fn round_trip(&mut self, workload: &mut dyn Workload, intended: Instant) -> Result<()> {
        match self {
            Connection::Http(client) => {
                let response = client.ask(workload.next(intended)).await?;
                workload.check(response)
            }
            Connection::Socket(socket) => {
                socket.send(workload.next(intended)).await?;
                loop {
                    let message = socket.message().await?;
                    if socket::kind(message) != Some("RESULT") {
                        workload.hear(message)?;
                        continue;
                    }
                    let status = scan::after(message, b"\"status\":").and_then(scan::number);
                    let status = status.ok_or_else(|| Failure::wrong("a RESULT without a status", message))? as u16;
                    return workload.check(Response { status, body: message });
                }
            }
        }
    }
}
