//! The table of commands: their names, how many arguments they take, whether a server without memory refuses them, and
//! what carries them out. Does not know clients.

use super::args::{Args, Result};
use super::keyspace::Keyspace;
use super::reply::Reply;
use super::{hashes, keys, lists, sorted_sets, strings};

/// A command.
pub(super) struct Command {
    name: &'static str,
    /// How many words it has, its name included; if negative, so many at least.
    arity: i32,
    /// A server that is full refuses it.
    pub(super) needs_memory: bool,
    pub(super) run: Run,
}

/// What carries a command out.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// A function of the keyspace alone.
    Keys(fn(&mut Keyspace, Args<'_>) -> Result),
    /// The server, which knows clients and scripts.
    Server(ServerCommand),
}

/// A command of a connection, a script, a channel, or the server itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerCommand {
    Ping,
    Echo,
    Time,
    Info,
    Select,
    Wait,
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    Script,
    EvalSha,
    Publish,
    Subscribe,
    Unsubscribe,
}

const fn reads(name: &'static str, arity: i32, run: fn(&mut Keyspace, Args<'_>) -> Result) -> Command {
    Command { name, arity, needs_memory: false, run: Run::Keys(run) }
}

const fn writes(name: &'static str, arity: i32, run: fn(&mut Keyspace, Args<'_>) -> Result) -> Command {
    Command { name, arity, needs_memory: true, run: Run::Keys(run) }
}

const fn server(name: &'static str, arity: i32, command: ServerCommand) -> Command {
    Command { name, arity, needs_memory: false, run: Run::Server(command) }
}

/// All commands; those that only remove need no memory, as reads do not.
const COMMANDS: &[Command] = &[
    reads("decrby", 3, strings::decrby).that_needs_memory(),
    reads("del", -2, keys::del),
    server("discard", 1, ServerCommand::Discard),
    server("echo", 2, ServerCommand::Echo),
    server("evalsha", -3, ServerCommand::EvalSha),
    server("exec", 1, ServerCommand::Exec),
    reads("expire", -3, keys::expire),
    reads("get", 2, strings::get),
    reads("hdel", -3, hashes::hdel),
    reads("hget", 3, hashes::hget),
    writes("hincrby", 4, hashes::hincrby),
    reads("hmget", -3, hashes::hmget),
    writes("hset", -4, hashes::hset),
    writes("incr", 2, strings::incr),
    writes("incrby", 3, strings::incrby),
    server("info", -1, ServerCommand::Info),
    reads("lindex", 3, lists::lindex),
    reads("llen", 2, lists::llen),
    writes("lpush", -3, lists::lpush),
    reads("lrange", 4, lists::lrange),
    reads("lrem", 4, lists::lrem),
    reads("ltrim", 4, lists::ltrim),
    reads("mget", -2, strings::mget),
    server("multi", 1, ServerCommand::Multi),
    reads("pexpire", -3, keys::pexpire),
    server("ping", -1, ServerCommand::Ping),
    reads("pttl", 2, keys::pttl),
    server("publish", 3, ServerCommand::Publish),
    reads("rename", 3, keys::rename),
    writes("rpush", -3, lists::rpush),
    server("script", -2, ServerCommand::Script),
    server("select", 2, ServerCommand::Select),
    writes("set", -3, strings::set),
    writes("setex", 4, strings::setex),
    server("spublish", 3, ServerCommand::Publish),
    server("ssubscribe", -2, ServerCommand::Subscribe),
    server("subscribe", -2, ServerCommand::Subscribe),
    server("sunsubscribe", -1, ServerCommand::Unsubscribe),
    server("time", 1, ServerCommand::Time),
    reads("type", 2, keys::kind),
    server("unsubscribe", -1, ServerCommand::Unsubscribe),
    server("unwatch", 1, ServerCommand::Unwatch),
    server("wait", 3, ServerCommand::Wait),
    server("watch", -2, ServerCommand::Watch),
    writes("zadd", -4, sorted_sets::zadd),
    reads("zcard", 2, sorted_sets::zcard),
    reads("zrange", -4, sorted_sets::zrange),
    reads("zrem", -3, sorted_sets::zrem),
    reads("zscore", 3, sorted_sets::zscore),
];

impl Command {
    const fn that_needs_memory(self) -> Self {
        Self { needs_memory: true, ..self }
    }
}

/// The command that words ask for, its name in lower case, and its arguments; an error where there is none or they are
/// too few or too many.
pub(super) fn find(words: &[Vec<u8>]) -> Result<(&'static Command, Args<'_>)> {
    let unknown = || {
        let name = words.first().map(|name| String::from_utf8_lossy(name)).unwrap_or_default();
        Reply::err(format!("unknown command '{name}'"))
    };
    let (name, args) = words.split_first().ok_or_else(unknown)?;
    let name = name.to_ascii_lowercase();
    let index = COMMANDS.binary_search_by(|command| command.name.as_bytes().cmp(&name)).map_err(|_| unknown())?;
    let command = &COMMANDS[index];
    let count = i32::try_from(words.len()).unwrap_or(i32::MAX);
    if count == command.arity || command.arity < 0 && count >= -command.arity {
        return Ok((command, args));
    }
    Err(Reply::err(format!("wrong number of arguments for '{}' command", command.name)))
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn the_table_is_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
    }
}
