//! Lua scripts: a server is told of each what it does, as a function in Rust that calls commands as the script does. A
//! test holds them against the scripts. Does not know what they are for.

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest, Sha1};

use super::args::Result;
use super::commands::{self, Run, ServerCommand};
use super::keyspace::Keyspace;
use super::pubsub::ChannelKind;
use super::reply::Reply;

/// What a script does: given its keys and its arguments.
pub type Script = fn(&mut ScriptContext<'_>, &[Vec<u8>], &[Vec<u8>]) -> std::result::Result<Reply, ScriptError>;

/// A command that a script called failed, and so did the script: the reply of both.
#[derive(Clone, Debug)]
pub struct ScriptError(pub Reply);

/// What a script may do.
pub struct ScriptContext<'a> {
    keys: &'a mut Keyspace,
    published: Vec<Published>,
}

/// A message that a script published.
pub(super) struct Published {
    pub(super) kind: ChannelKind,
    pub(super) channel: Vec<u8>,
    pub(super) message: Vec<u8>,
}

impl ScriptContext<'_> {
    /// Calls a command, as `redis.call` does.
    pub fn call(&mut self, words: &[&[u8]]) -> std::result::Result<Reply, ScriptError> {
        match self.pcall(words) {
            Reply::Error(error) => Err(ScriptError(Reply::Error(error))),
            reply => Ok(reply),
        }
    }

    /// Calls a command whose error is a reply like others, as `redis.pcall` does.
    pub fn pcall(&mut self, words: &[&[u8]]) -> Reply {
        let words: Vec<_> = words.iter().map(|word| word.to_vec()).collect();
        self.run(&words).unwrap_or_else(|error| error)
    }

    fn run(&mut self, words: &[Vec<u8>]) -> Result {
        let (command, args) = commands::find(words)?;
        match command.run {
            Run::Keys(run) => run(self.keys, args),
            Run::Server(ServerCommand::Time) => Ok(time(self.keys.now_us())),
            Run::Server(ServerCommand::Publish) => {
                let kind = ChannelKind::of_command(&words[0]);
                self.published.push(Published { kind, channel: args[0].clone(), message: args[1].clone() });
                Ok(Reply::Int(0))
            }
            Run::Server(_) => Err(Reply::err("This Redis command is not allowed from script")),
        }
    }
}

/// The time, as TIME says it.
pub(super) fn time(now_us: u64) -> Reply {
    let parts = [now_us / 1_000_000, now_us % 1_000_000];
    Reply::Array(parts.map(|part| Reply::Bulk(part.to_string().into_bytes())).to_vec())
}

/// The scripts that a server could know, and those that it was told of.
#[derive(Clone, Default)]
pub(super) struct Scripts {
    known: BTreeMap<String, Script>,
    loaded: BTreeSet<String>,
}

impl Scripts {
    /// Says what a script does.
    pub(super) fn teach(&mut self, source: &str, script: Script) {
        self.known.insert(digest(source.as_bytes()), script);
    }

    /// Loads a script; a script that nobody taught is an error.
    pub(super) fn load(&mut self, source: &[u8]) -> Result {
        let name = digest(source);
        if !self.known.contains_key(&name) {
            return Err(Reply::err("this script is not known to the simulation"));
        }
        self.loaded.insert(name.clone());
        Ok(Reply::Bulk(name.into_bytes()))
    }

    /// Runs a script that was loaded; returns its reply, and what it published.
    pub(super) fn run(
        &self,
        keys: &mut Keyspace,
        name: &[u8],
        words: (&[Vec<u8>], &[Vec<u8>]),
    ) -> Result<(Reply, Vec<Published>)> {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let script = self.known.get(&name).filter(|_| self.loaded.contains(&name));
        let script = script.ok_or_else(|| Reply::Error("NOSCRIPT No matching script. Please use EVAL.".to_owned()))?;
        let mut context = ScriptContext { keys, published: Vec::new() };
        let reply = script(&mut context, words.0, words.1).map_err(|ScriptError(reply)| reply)?;
        Ok((reply, context.published))
    }

    /// Forgets which scripts it was told of, as a server does that is restarted.
    pub(super) fn forget(&mut self) {
        self.loaded.clear();
    }
}

fn digest(source: &[u8]) -> String {
    Sha1::digest(source).iter().map(|byte| format!("{byte:02x}")).collect()
}
