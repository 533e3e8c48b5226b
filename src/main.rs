//! The program: arguments and environment to a [`Config`], a server until a signal, an exit code.
//!
//! Exits with 0 after an orderly stop, 1 when it cannot listen or keep sessions, or is told twice to stop, 2 when it was told
//! something that makes no sense.

use std::process::ExitCode;

use clap::{Arg, Command};
use synckairos::config::{Config, SETTINGS};
use synckairos::{logging, serve};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

const ABOUT: &str = "Keeps clocks in sync for many people at once: chess and turn-based games, quizzes, \
auctions, exams, meetings, live shows.";

const AFTER_HELP: &str = "\
Every option can also be given as an environment variable; an option wins.

Sessions live in this process and are lost when it ends.
With --data-dir they are kept in a file, and come back after a restart or a crash.
With --redis-url any number of instances serve the same sessions.

Try it:
  synckairos &
  curl localhost:3000/ready
  curl localhost:3000/api-docs.json

It stops in order on SIGTERM or SIGINT, and at once on the second.";

fn main() -> ExitCode {
    let matches = command().get_matches();
    let lookup = |name: &str| {
        let given = matches.try_get_one::<String>(name).ok().flatten().cloned();
        given.or_else(|| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    };
    let config = match Config::read(lookup) {
        Ok(config) => config,
        Err(problems) => {
            for problem in problems {
                eprintln!("synckairos: {problem}");
            }
            eprintln!("synckairos: see --help");
            return ExitCode::from(2);
        }
    };
    logging::start(config.log_level, config.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(config));
    // What still runs would be waiting for clients that do not answer.
    runtime.shutdown_background();
    code
}

async fn run(config: Config) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    let address = config.address;
    let mut running = match serve::start(config).await {
        Ok(running) => running,
        Err(serve::Failure::Listen(error)) => {
            error!(%address, %error, "cannot listen");
            return ExitCode::FAILURE;
        }
        Err(serve::Failure::Store(error)) => {
            error!(%error, "cannot keep sessions");
            return ExitCode::FAILURE;
        }
    };
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let signal = tokio::select! {
        signal = told() => signal,
        () = running.failed() => {
            error!("a part of the server has failed: stopped at once");
            return ExitCode::FAILURE;
        }
    };
    info!(signal, "stopping; once more to stop at once");
    tokio::select! {
        is_kept = running.stop() => match is_kept {
            true => {
                info!("stopped");
                ExitCode::SUCCESS
            }
            false => ExitCode::FAILURE,
        },
        signal = told() => {
            error!(signal, "stopped at once");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let options = SETTINGS.iter().map(|setting| {
        let flag = setting.name.to_ascii_lowercase().replace('_', "-");
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        let help = format!("{} [env: {}] [default: {default}]", setting.help, setting.name);
        Arg::new(setting.name).long(flag).value_name(setting.value).help(help)
    });
    Command::new("synckairos").version(env!("CARGO_PKG_VERSION")).about(ABOUT).after_help(AFTER_HELP).args(options)
}
