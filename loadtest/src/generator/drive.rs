//! Connections at work: each carries out its errands, one after the other, at the pace that is set. Does not know what
//! an errand is for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::failure::{Failure, Result};
use super::http::{Answer, Client};
use super::pace::{Pace, Schedule};
use super::sample::Shared;
use super::scan;
use super::socket::{self, Socket};

/// How long after the end of a slice answers may still come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a connection does over and over.
pub(crate) trait Errand: Send {
    /// The bytes to send next, which were to be sent at `intended`.
    fn next(&mut self, intended: Instant) -> &[u8];

    /// Whether their answer is right.
    fn check(&mut self, answer: Answer<'_>) -> Result<()>;

    /// Whether a message is right that came by itself, over a WebSocket.
    fn hear(&mut self, message: &[u8]) -> Result<()> {
        let _ = message;
        Ok(())
    }

    /// The session whose WebSocket the errand is carried out over; `None` is HTTP.
    fn socket(&self) -> Option<String> {
        None
    }
}

/// Errands, each with a connection of its own.
pub(crate) struct Crew {
    addresses: Vec<SocketAddr>,
    errands: Vec<Box<dyn Errand>>,
}

/// A connection that is open.
enum Line {
    Http(Client),
    Socket(Socket),
}

impl Crew {
    /// Connections are divided over the addresses.
    pub(crate) fn new(addresses: &[SocketAddr], errands: impl IntoIterator<Item = Box<dyn Errand>>) -> Self {
        Self { addresses: addresses.to_vec(), errands: errands.into_iter().collect() }
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.errands.len()
    }

    /// Opens the connections, works for a slice of time, and takes down in `sample` what it came to.
    pub(crate) async fn work(&mut self, pace: Pace, sample: &Shared) -> Result<()> {
        let mut lines = Vec::with_capacity(self.errands.len());
        for (place, errand) in self.errands.iter().enumerate() {
            let address = self.addresses[place % self.addresses.len()];
            lines.push(match errand.socket() {
                Some(id) => Line::Socket(Socket::open(address, &id).await?),
                None => Line::Http(Client::open(address).await?),
            });
        }
        let schedule = Arc::new(Schedule::start(pace, lines.len()));
        sample.lock().begin(schedule.began());
        let mut workers = JoinSet::new();
        for (place, (line, errand)) in lines.into_iter().zip(self.errands.drain(..)).enumerate() {
            let (schedule, sample) = (Arc::clone(&schedule), Arc::clone(sample));
            workers.spawn(async move {
                let errand = work(line, errand, &schedule, &sample).await?;
                Result::Ok((place, errand))
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
            // So slow is nothing that is worth waiting for.
            Pace::Count(count) => PATIENCE + Duration::from_millis(count),
        };
        let too_late = |_| Failure::broken(format!("answers are missing {PATIENCE:?} after the end of a slice"));
        tokio::time::timeout(limit, all).await.map_err(too_late)??;
        let now = Instant::now();
        let mut sample = sample.lock();
        for intended in schedule.unsent() {
            sample.add_unsent(now - intended);
        }
        sample.end(now);
        done.sort_unstable_by_key(|(place, _)| *place);
        self.errands.extend(done.into_iter().map(|(_, errand)| errand));
        Ok(())
    }
}

async fn work(
    mut line: Line,
    mut errand: Box<dyn Errand>,
    schedule: &Schedule,
    sample: &Shared,
) -> Result<Box<dyn Errand>> {
    while let Some(intended) = schedule.next().await {
        let sent = schedule.is_open().then(Instant::now);
        line.carry_out(errand.as_mut(), intended).await?;
        let now = Instant::now();
        sample.lock().add(now, now - intended, sent.map(|sent| now - sent));
    }
    Ok(errand)
}

impl Line {
    async fn carry_out(&mut self, errand: &mut dyn Errand, intended: Instant) -> Result<()> {
        match self {
            Line::Http(client) => {
                let answer = client.ask(errand.next(intended)).await?;
                errand.check(answer)
            }
            Line::Socket(socket) => {
                socket.send(errand.next(intended)).await?;
                loop {
                    let message = socket.message().await?;
                    if socket::kind(message) != Some("RESULT") {
                        errand.hear(message)?;
                        continue;
                    }
                    let status = scan::after(message, b"\"status\":").and_then(scan::number);
                    let status = status.ok_or_else(|| Failure::wrong("a RESULT without a status", message))? as u16;
                    return errand.check(Answer { status, body: message });
                }
            }
        }
    }
}
