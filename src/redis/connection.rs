//! A connection to a Redis server: which run of the server it leads to, and which replies mean that the server is not
//! responsible. One task owns it, since WATCH belongs to a connection. Invalidates the topology that sent it there;
//! does not know what else is asked.
//!
//! A run begins when a server starts, and when a replica becomes a master: then it may lack what was acknowledged
//! before. It is known by the name of its replication history, which is new each time; its process may have been a
//! master before.

use std::sync::Arc;

use crate::redis::endpoints::endpoint::RedisEndpoint;
use crate::redis::endpoints::node::Node;
use crate::redis::protocol::pipeline::Pipeline;
use crate::redis::protocol::resp::Value;
use crate::redis::protocol::transport::Transport;
use crate::redis::routing::cluster;
use crate::redis::routing::route::KeyRoute;

use super::error::{Misconfigured, RedisError};
use super::info;

/// An exclusive connection to the server that answers for some keys.
pub struct RedisConnection {
    transport: Transport,
    route: KeyRoute,
    run_id: Arc<str>,
}

impl RedisConnection {
    /// Connects to the endpoint that a route leads to, unless its circuit breaker is open.
    pub(super) async fn open(route: KeyRoute, endpoint: &RedisEndpoint) -> Result<Self, RedisError> {
        let topology = Arc::clone(&route.topology);
        let made = async {
            let transport = endpoint.connect(route.reply_timeout).await?;
            Self::greet(transport, route, endpoint).await
        };
        topology.attempt(endpoint, made).await
    }

    /// Asks the server who it is; a replica is refused.
    async fn greet(mut transport: Transport, route: KeyRoute, endpoint: &RedisEndpoint) -> Result<Self, RedisError> {
        let mut hello = Pipeline::new();
        hello.cmd("INFO").args(["server", "replication"]);
        let said = transport.ask(&hello).await;
        let said =
            said.map_err(|error| if let RedisError::Io(why) = error { endpoint.hung_up(&why) } else { error })?;
        endpoint.note_reply();
        if let Some(why) = said.iter().find_map(Value::error) {
            return Err(RedisError::Server(why.to_owned()));
        }
        let info = said.first().and_then(Value::text).unwrap_or_default();
        let field = |name: &str| info::field(info, name).unwrap_or_default();
        if let Some(why) = info::misplaced(field("redis_mode"), route.is_of_cluster()) {
            return Err(RedisError::Misconfigured(Misconfigured {
                why: format!("the server at {endpoint} {why}"),
                is_lasting: true,
            }));
        }
        if field("role") == "slave" {
            let (host, port) = (field("master_host"), field("master_port"));
            return Err(RedisError::Moved(format!("{endpoint} is a replica of {host}:{port}")));
        }
        // A server that only speaks the protocol may have no such history.
        let run_id = [field("master_replid"), field("run_id")].into_iter().find(|id| !id.is_empty());
        Ok(Self { transport, route, run_id: run_id.unwrap_or_default().into() })
    }

    /// The run of the server that this leads to: another one may have forgotten what was acknowledged.
    pub fn run_id(&self) -> &Arc<str> {
        &self.run_id
    }

    /// Whether it leads to a server of a Cluster.
    pub(super) fn is_of_cluster(&self) -> bool {
        self.route.is_of_cluster()
    }

    /// Sends commands in one go and returns a reply for each; a refusal of one is its reply. A server that is known
    /// not to be responsible any more is not asked, nor believed: what it did last may have been done nowhere else.
    pub async fn ask(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        if !self.route.is_current() {
            return Err(RedisError::Moved("that is known by now".to_owned()));
        }
        let sent = tokio::select! {
            biased;
            sent = self.transport.ask(commands) => Some(sent),
            () = self.route.replaced() => None,
        };
        let Some(sent) = sent.filter(|_| self.route.is_current()) else {
            return Err(RedisError::Io("another server has become responsible".to_owned()));
        };
        let replies = sent.inspect_err(|_| self.route.topology.invalidate())?;
        if self.route.host().is_some() {
            replies.iter().try_for_each(|reply| self.check_responsible(reply))?;
        }
        Ok(replies)
    }

    /// The same for commands of one key each, of which some may be on their way to another server: those are asked
    /// there.
    pub async fn ask_following(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let mut replies = self.transport.ask(commands).await?;
        let importing = replies.iter().find_map(|reply| self.target(reply));
        if let Some(node) = &importing {
            let mut target = Self::open(self.route.to(node), &self.route.topology.deployment.endpoint(node)).await?;
            let (mut moved, mut again) = (Vec::new(), Pipeline::new());
            for (at, command) in commands.each().enumerate().filter(|(at, _)| self.target(&replies[*at]).is_some()) {
                again.cmd("ASKING").add_encoded(command);
                moved.push(at);
            }
            let answers = target.transport.ask(&again).await?;
            for (at, answer) in moved.into_iter().zip(answers.into_iter().skip(1).step_by(2)) {
                replies[at] = answer;
            }
        }
        replies.iter().try_for_each(|reply| self.check_responsible(reply))?;
        Ok(replies)
    }

    /// Where the key of a command is going, when the reply is that it is on its way.
    fn target(&self, reply: &Value) -> Option<Node> {
        let details = reply.error()?.strip_prefix("ASK ")?;
        cluster::redirection(details, self.route.host()).map(|(_, node)| node)
    }

    /// An error when a reply says that the server is not responsible.
    fn check_responsible(&self, reply: &Value) -> Result<(), RedisError> {
        let Some(why) = reply.error() else { return Ok(()) };
        let (code, details) = why.split_once(' ').unwrap_or((why, ""));
        match code {
            "MOVED" => {
                match cluster::redirection(details, self.route.host()) {
                    Some((slot, node)) => self.route.topology.moved(slot, node),
                    None => self.route.topology.invalidate(),
                }
                Err(RedisError::Moved(why.to_owned()))
            }
            "READONLY" => {
                self.route.topology.invalidate();
                Err(RedisError::Moved(why.to_owned()))
            }
            "CLUSTERDOWN" | "MASTERDOWN" => {
                self.route.topology.invalidate();
                Err(RedisError::TryAgain(why.to_owned()))
            }
            "ASK" | "TRYAGAIN" => Err(RedisError::TryAgain(why.to_owned())),
            // What else is refused is for the caller to judge.
            _ => Ok(()),
        }
    }
}
