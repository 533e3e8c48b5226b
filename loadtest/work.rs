//! What a connection does over and over, and what a right answer is.

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::{Client, number, request};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Reads whatever the bare server has.
    Bare,
    /// Reads sessions.
    Read,
    /// Switches sessions: each connection has its own, so that it knows the version that must come.
    Switch,
}

impl Work {
    pub(crate) const ALL: [Work; 3] = [Work::Bare, Work::Read, Work::Switch];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Bare => "bare hyper, 900 bytes",
            Work::Read => "GET a session",
            Work::Switch => "switch a session",
        }
    }
}

/// The requests of one connection, and what it has seen so far.
pub(crate) struct Errands {
    work: Work,
    requests: Vec<Vec<u8>>,
    versions: Vec<u64>,
    next: usize,
}

impl Errands {
    /// The share of connection `place` among `of`.
    pub(crate) fn share(work: Work, ids: &[String], place: usize, of: usize) -> Self {
        let mine = ids.iter().skip(place).step_by(of);
        let requests: Vec<_> = match work {
            Work::Bare => vec![request("GET", "/", "")],
            Work::Read => mine.map(|id| request("GET", &format!("/v1/sessions/{id}"), "")).collect(),
            Work::Switch => mine.map(|id| request("POST", &format!("/v1/sessions/{id}/switch"), "")).collect(),
        };
        Self { work, versions: vec![0; requests.len()], requests, next: 0 }
    }

    /// Runs one errand and checks its answer.
    pub(crate) async fn run(&mut self, client: &mut Client) -> io::Result<()> {
        let place = self.next;
        self.next = (place + 1) % self.requests.len();
        let (status, body) = client.ask(&self.requests[place]).await?;
        let version = match self.work {
            Work::Bare => Some(0),
            Work::Read | Work::Switch => number(body, b"\"version\":"),
        };
        let last = self.versions[place];
        let is_right = match self.work {
            Work::Bare => body.len() == 900,
            Work::Read => version.is_some_and(|version| version >= last),
            Work::Switch => version.is_some_and(|version| last == 0 || version == last + 1),
        };
        if status != 200 || !is_right {
            let text = String::from_utf8_lossy(body);
            return Err(io::Error::other(format!("wrong answer {status} after version {last}: {text}")));
        }
        self.versions[place] = version.unwrap_or_default();
        Ok(())
    }
}

/// Creates and starts sessions; returns their ids.
pub(crate) async fn sessions(address: SocketAddr, count: usize) -> io::Result<Vec<String>> {
    let mut client = Client::open(address).await?;
    let mut ids = Vec::with_capacity(count);
    // What an earlier run left behind is not in the way.
    let run = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_millis() as u32;
    for n in 0..count {
        let id = format!("{run:08x}-0000-4000-8000-{n:012x}");
        let players: Vec<_> = (0..2)
            .map(|index| {
                format!(
                    r#"{{"participant_id":"11111111-1111-4111-8111-{index:012}","participant_index":{index},"total_time_ms":3600000}}"#
                )
            })
            .collect();
        let body = format!(
            r#"{{"session_id":"{id}","sync_mode":"per_participant","total_time_ms":7200000,"participants":[{}]}}"#,
            players.join(",")
        );
        expect(client.ask(&request("POST", "/v1/sessions", &body)).await?, 201)?;
        expect(client.ask(&request("POST", &format!("/v1/sessions/{id}/start"), "")).await?, 200)?;
        ids.push(id);
    }
    Ok(ids)
}

fn expect((status, body): (u16, &[u8]), expected: u16) -> io::Result<()> {
    if status == expected { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(body).into_owned())) }
}
