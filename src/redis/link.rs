//! A connection to a Redis server: which run of the server it leads to, and what can go wrong on it. It is owned
//! by one task, since WATCH belongs to a connection. Knows what tells where to ask; does not know what else is asked.
//!
//! A run begins when a server starts, and when a replica becomes a master: then it may lack what was acknowledged
//! before. It is known by the name of its replication history, which is new each time; its process may have been a
//! master before.

use std::fmt;
use std::sync::Arc;

use redis::RedisError;

use super::client::Client;
use super::commands::Commands;
use super::exchange::Exchange;
use super::reply::Reply;
use super::server::Place;
use super::table::Node;
use super::{cluster, fitness};

/// A connection of one's own.
pub struct Link {
    exchange: Exchange,
    place: Place,
    run_id: Arc<str>,
}

/// Why a connection did not do what it was asked. After a loss it is not to be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// It is lost, took too long, or cannot be made.
    Lost(String),
    /// The server refused a command, or to let us in.
    Refused(String),
    /// The server is not to be used as it is.
    Unfit(Unfit),
    /// Another server answers for the keys now; no transaction was carried out. It is not to be used again.
    Elsewhere(String),
    /// The keys are on their way to another server, or nobody answers for them; no transaction was carried out.
    NotNow(String),
}

/// Why a server is not to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// For people.
    pub why: String,
    /// Waiting does not help: this process was told something that is not so.
    pub is_lasting: bool,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Lost(why) => write!(f, "Redis cannot be reached: {why}"),
            LinkError::Refused(why) => write!(f, "Redis refused: {why}"),
            LinkError::Unfit(Unfit { why, .. }) => f.write_str(why),
            LinkError::Elsewhere(why) => write!(f, "another Redis server is responsible: {why}"),
            LinkError::NotNow(why) => write!(f, "no Redis server is responsible at the moment: {why}"),
        }
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() {
            return LinkError::Lost(error.to_string());
        }
        match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => LinkError::Refused(format!("{code} {detail}")),
            _ => LinkError::Refused(error.to_string()),
        }
    }
}

impl Link {
    /// Greets the server at `client`; one that only follows another is refused.
    pub(super) async fn new(mut exchange: Exchange, place: Place, client: &Client) -> Result<Self, LinkError> {
        let mut hello = Commands::new();
        hello.cmd("INFO").args(["server", "replication"]);
        let said = exchange.ask(&hello).await;
        let said = said.map_err(|error| if let LinkError::Lost(why) = error { client.gone(&why) } else { error })?;
        client.replied();
        if let Some(why) = said.iter().find_map(Reply::refusal) {
            return Err(LinkError::Refused(why.to_owned()));
        }
        let info = said.first().and_then(Reply::text).unwrap_or_default();
        let field = |name: &str| fitness::field(info, name).unwrap_or_default();
        if let Some(why) = fitness::misplaced(field("redis_mode"), place.is_of_cluster()) {
            return Err(LinkError::Unfit(Unfit { why: format!("the server at {client} {why}"), is_lasting: true }));
        }
        if field("role") == "slave" {
            let (host, port) = (field("master_host"), field("master_port"));
            return Err(LinkError::Elsewhere(format!("{client} is a replica of {host}:{port}")));
        }
        // Whoever only speaks the protocol may have no such history.
        let run_id = [field("master_replid"), field("run_id")].into_iter().find(|id| !id.is_empty());
        Ok(Self { exchange, place, run_id: run_id.unwrap_or_default().into() })
    }

    /// The run of the server that this leads to: another one may have forgotten what was acknowledged.
    pub fn run_id(&self) -> &Arc<str> {
        &self.run_id
    }

    /// Whether it leads to a server of a Cluster.
    pub(super) fn is_of_cluster(&self) -> bool {
        self.place.is_of_cluster()
    }

    /// Sends commands in one go and returns a reply for each; a refusal of one is its reply. A server that is known
    /// not to be responsible any more is not asked, nor believed: what it did last may have been done nowhere else.
    pub async fn ask(&mut self, commands: &Commands) -> Result<Vec<Reply>, LinkError> {
        if !self.place.is_current() {
            return Err(LinkError::Elsewhere("that is known by now".to_owned()));
        }
        let sent = tokio::select! {
            biased;
            sent = self.exchange.ask(commands) => Some(sent),
            () = self.place.left() => None,
        };
        let Some(sent) = sent.filter(|_| self.place.is_current()) else {
            return Err(LinkError::Lost("another server has become responsible".to_owned()));
        };
        let replies = sent.inspect_err(|_| self.place.doubt())?;
        if self.place.host().is_some() {
            replies.iter().try_for_each(|reply| self.responsible(reply))?;
        }
        Ok(replies)
    }

    /// The same for commands of one key each, of which some may be on their way to another server: those are asked
    /// there.
    pub async fn ask_following(&mut self, commands: &Commands) -> Result<Vec<Reply>, LinkError> {
        let mut replies = self.exchange.ask(commands).await?;
        let target = replies.iter().find_map(|reply| self.target(reply));
        if let Some(node) = target.as_ref() {
            let mut link = self.place.elsewhere(node).await?;
            let (mut moved, mut again) = (Vec::new(), Commands::new());
            for (at, command) in commands.each().enumerate().filter(|(at, _)| self.target(&replies[*at]).is_some()) {
                again.cmd("ASKING").add(command);
                moved.push(at);
            }
            let answers = link.exchange.ask(&again).await?;
            for (at, answer) in moved.into_iter().zip(answers.into_iter().skip(1).step_by(2)) {
                replies[at] = answer;
            }
        }
        replies.iter().try_for_each(|reply| self.responsible(reply))?;
        Ok(replies)
    }

    /// Where the key of a command is going, when the reply is that it is on its way.
    fn target(&self, reply: &Reply) -> Option<Node> {
        let details = reply.refusal()?.strip_prefix("ASK ")?;
        cluster::redirection(details, self.place.host()).map(|(_, node)| node)
    }

    /// An error when a reply says that the server is not responsible.
    fn responsible(&self, reply: &Reply) -> Result<(), LinkError> {
        let Some(why) = reply.refusal() else { return Ok(()) };
        let (code, details) = why.split_once(' ').unwrap_or((why, ""));
        match code {
            "MOVED" => {
                match cluster::redirection(details, self.place.host()) {
                    Some((slot, node)) => self.place.moved(slot, node),
                    None => self.place.doubt(),
                }
                Err(LinkError::Elsewhere(why.to_owned()))
            }
            "READONLY" => {
                self.place.doubt();
                Err(LinkError::Elsewhere(why.to_owned()))
            }
            "CLUSTERDOWN" | "MASTERDOWN" => {
                self.place.doubt();
                Err(LinkError::NotNow(why.to_owned()))
            }
            "ASK" | "TRYAGAIN" => Err(LinkError::NotNow(why.to_owned())),
            // What else is refused is for the caller to judge.
            _ => Ok(()),
        }
    }
}
