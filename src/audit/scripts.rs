//! The scripts that move jobs about in Redis, each of them at once or not at all. At `maxmemory` Redis refuses
//! the plain commands, and then nothing would ever drain: scripts may be allowed to go on. What each takes and
//! returns is written in it. They move bytes and do not look into jobs.

use crate::redis::{Commands, Link, LinkError, Reply};

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Fetch,
    Settle,
    Renew,
    Release,
    Reap,
    Redrive,
    Drop,
}

const SOURCES: [(Script, &str); 7] = [
    (Script::Fetch, include_str!("scripts/fetch.lua")),
    (Script::Settle, include_str!("scripts/settle.lua")),
    (Script::Renew, include_str!("scripts/renew.lua")),
    (Script::Release, include_str!("scripts/release.lua")),
    (Script::Reap, include_str!("scripts/reap.lua")),
    (Script::Redrive, include_str!("scripts/redrive.lua")),
    (Script::Drop, include_str!("scripts/drop.lua")),
];

/// The names by which a server knows the scripts.
pub(super) struct Scripts(Vec<(Script, String)>);

impl Scripts {
    /// Loads all of them; a server forgets them when it is restarted.
    pub(super) async fn load(link: &mut Link) -> Result<Self, LinkError> {
        let mut commands = Commands::new();
        for (_, source) in SOURCES {
            commands.cmd("SCRIPT").arg("LOAD").arg(source);
        }
        let replies = link.ask(&commands).await?;
        let name = |((script, _), reply): (&(Script, &str), Reply)| match reply.text() {
            Some(name) => Ok((*script, name.to_owned())),
            None => Err(LinkError::Refused(format!("SCRIPT LOAD answered {reply:?}"))),
        };
        SOURCES.iter().zip(replies).map(name).collect::<Result<_, _>>().map(Self)
    }

    /// Begins the command that runs a script on keys; its arguments follow.
    pub(super) fn call<'p>(&self, script: Script, keys: &[String], commands: &'p mut Commands) -> &'p mut Commands {
        let name = self.0.iter().find(|(known, _)| *known == script).map_or("", |(_, name)| name);
        commands.cmd("EVALSHA").arg(name).arg(keys.len()).args(keys)
    }
}
