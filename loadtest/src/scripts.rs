//! Runs the scripts that measure with tests in their long form, since tests can let servers fail. Does not know what they do.

use std::io;
use std::process::Command as Process;

use clap::{Arg, ArgMatches, Command};

use crate::generator::failure::{Failure, Result};
use test_support::outer_run;

/// A test in its long form.
struct Script {
    name: &'static str,
    about: &'static str,
    /// Its arguments in order, and their help.
    arguments: &'static [(&'static str, &'static str)],
}

const SCRIPTS: [Script; 2] = [
    Script {
        name: "chaos",
        about: "Kills and halts instances, Redis and PostgreSQL in random order, and counts what clients were told",
        arguments: &[
            ("faults", "How many"),
            ("changes", "Changes between two of them"),
            ("seed", "Their order, as an earlier run named it"),
        ],
    },
    Script {
        name: "outage",
        about: "Takes PostgreSQL away while clients go on",
        arguments: &[("seconds", "For how long")],
    },
];

/// The subcommands of the scripts.
pub(crate) fn commands() -> impl Iterator<Item = Command> {
    SCRIPTS.iter().map(|Script { name, about, arguments }| {
        let arguments = arguments.iter().map(|(name, help)| Arg::new(*name).help(*help));
        Command::new(*name).about(format!("{about}; a script that builds and runs a test")).args(arguments)
    })
}

/// Runs the script of a name to its end; `None` when there is none.
pub(crate) fn run(name: &str, matches: &ArgMatches) -> Option<Result<()>> {
    let Script { arguments, .. } = SCRIPTS.iter().find(|script| script.name == name)?;
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    let given = arguments.iter().map_while(|(argument, _)| matches.get_one::<String>(argument));
    let mut script = Process::new(&path);
    script.args(given);
    outer_run::forget(&mut script);
    let status = script.status();
    Some(match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::Wrong(format!("{name} failed; what it printed says how"))),
        Err(error) => Err(io::Error::new(error.kind(), format!("{path}: {error}")).into()),
    })
}
