//! The Lua scripts that move jobs in Redis, each atomically. Redis refuses plain writes at `maxmemory`, and the queue would
//! never drain then: the scripts have the flag `allow-oom`. A block at the top of each names its keys, arguments and
//! result. They move bytes and do not look into jobs.

use crate::redis::{Pipeline, RedisConnection, RedisError, resp::Value};

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Fetch,
    Ack,
    Renew,
    Release,
    Reap,
    Redrive,
    Drop,
}

const SOURCES: [(Script, &str); 7] = [
    (Script::Fetch, include_str!("scripts/fetch.lua")),
    (Script::Ack, include_str!("scripts/ack.lua")),
    (Script::Renew, include_str!("scripts/renew.lua")),
    (Script::Release, include_str!("scripts/release.lua")),
    (Script::Reap, include_str!("scripts/reap.lua")),
    (Script::Redrive, include_str!("scripts/redrive.lua")),
    (Script::Drop, include_str!("scripts/drop.lua")),
];

/// The digests by which a server knows the scripts.
pub(super) struct Scripts(Vec<(Script, String)>);

impl Scripts {
    /// Loads all scripts; a server loses them when it restarts.
    pub(super) async fn load(link: &mut RedisConnection) -> Result<Self, RedisError> {
        let mut commands = Pipeline::new();
        for (_, source) in SOURCES {
            commands.cmd("SCRIPT").arg("LOAD").arg(source);
        }
        let replies = link.ask(&commands).await?;
        let digest = |((script, _), reply): (&(Script, &str), Value)| match reply.text() {
            Some(digest) => Ok((*script, digest.to_owned())),
            None => Err(RedisError::Server(format!("SCRIPT LOAD answered {reply:?}"))),
        };
        SOURCES.iter().zip(replies).map(digest).collect::<Result<_, _>>().map(Self)
    }

    /// Begins the call of a script on keys; its arguments follow.
    pub(super) fn call<'p>(&self, script: Script, keys: &[String], commands: &'p mut Pipeline) -> &'p mut Pipeline {
        let digest = self.0.iter().find(|(known, _)| *known == script).map_or("", |(_, digest)| digest);
        commands.cmd("EVALSHA").arg(digest).arg(keys.len()).args(keys)
    }
}
