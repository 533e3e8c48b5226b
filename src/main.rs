//! The program: reads arguments and environment into a [`Config`], runs a server until a signal or one command, and returns
//! an exit code.
//!
//! Exits with 0 after a graceful shutdown or when the command has succeeded, 1 when it cannot listen or open its store, gets
//! a second signal, or the command fails, 2 when arguments or settings are invalid.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use synckairos::command_line::{command, key_command, queue_command, token_command};
use synckairos::config::{self, Address, Config, SETTINGS, SettingKind};
use synckairos::healthcheck::{self, Probe};
use synckairos::key_admin;
use synckairos::maintenance::{self, HistoryLocation};
use synckairos::queue_admin;
use synckairos::sd_notify::ServiceManager;
use synckairos::supervision::{self, Task};
use synckairos::{logging, serve};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

fn main() -> ExitCode {
    let matches = command().try_get_matches().unwrap_or_else(|error| misunderstood(&error));
    let option = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let lookup = |name: &str| {
        // An option wins, also over a file.
        if name.strip_suffix("_FILE").and_then(option).is_some() {
            return None;
        }
        option(name).or_else(|| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    };
    let seen = SETTINGS.iter().filter(|setting| setting.kind == SettingKind::Url);
    let seen = seen.filter(|setting| option(setting.name).is_some_and(|url| config::has_password(&url)));
    let seen: Vec<_> = seen.map(|setting| setting.name).collect();
    let code = match matches.subcommand() {
        Some(("migrate", _)) => migrate(lookup),
        Some(("backup", options)) => backup(options, lookup),
        Some(("purge", options)) => purge(options, lookup),
        Some(("health", options)) => health(options, lookup),
        Some(("keys", options)) => keys(options, lookup),
        Some(("token", options)) => token(options, lookup),
        Some(("queue", options)) => run_queue_command(options, lookup, &seen),
        Some(_) | None => serve(lookup, &seen),
    };
    logging::flush();
    code
}

/// Says what is wrong with the arguments, unless one of them may be a password.
fn misunderstood(error: &clap::Error) -> ! {
    if error.use_stderr() && std::env::args().any(|argument| config::has_password(&argument)) {
        eprintln!("error: an argument is not known, or out of its place\n\nFor more information, try '--help'.");
        std::process::exit(2);
    }
    error.exit()
}

fn serve(lookup: impl Fn(&str) -> Option<String>, seen: &[&str]) -> ExitCode {
    let config = match Config::read(&lookup) {
        Ok(config) => config,
        Err(problems) => return refused(&problems),
    };
    start_logging(&lookup, seen);
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    let code = runtime.block_on(run(config, ServiceManager::find(&lookup)));
    // What still runs would be waiting for clients that do not answer.
    runtime.shutdown_background();
    code
}

/// Reports every problem of the settings.
fn refused(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("synckairos: {problem}");
    }
    eprintln!("synckairos: see --help");
    ExitCode::from(2)
}

/// Starts logging, if its settings are valid; the first lines name the passwords that every user of this machine could see.
fn start_logging(lookup: impl Fn(&str) -> Option<String>, seen: &[&str]) {
    if let Ok((level, format)) = Config::read_logging(lookup) {
        logging::start(level, format);
    }
    supervision::log_panics();
    for name in seen {
        let instead = format!("{name}_FILE or the environment");
        warn!(setting = name, instead, "a password is among the arguments, where everybody on this machine sees it");
    }
}

fn runtime() -> Option<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.inspect_err(|error| error!(%error, "cannot start")).ok()
}

fn migrate(lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let database = match Config::read_database(lookup) {
        Ok(database) => database,
        Err(problems) => return refused(&problems),
    };
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    finish(runtime.block_on(maintenance::migrate(&database, &mut std::io::stdout())))
}

/// Copies DATA_DIR; no other setting matters.
fn backup(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let Some(path) = lookup("DATA_DIR").filter(|path| !path.is_empty()) else {
        return finish(Err("DATA_DIR is needed for that".to_owned()));
    };
    let to = options.get_one::<String>("directory").cloned().unwrap_or_default();
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    finish(runtime.block_on(maintenance::back_up(path.into(), to.into(), &mut std::io::stdout())))
}

/// Forgets history in DATA_DIR or DATABASE_URL; no other setting matters.
fn purge(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let history = match lookup("DATA_DIR").filter(|path| !path.is_empty()) {
        Some(path) => HistoryLocation::Directory(path.into()),
        None => match Config::read_database(lookup) {
            Ok(database) => HistoryLocation::Database(database),
            Err(problems) => return refused(&problems),
        },
    };
    let id = options.get_one::<String>("session").map_or("", String::as_str);
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    finish(runtime.block_on(maintenance::purge(history, id, &mut std::io::stdout())))
}

/// Probes the server of HOST and PORT, unless there is a URL; no other setting matters.
fn health(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let probe = if options.get_flag("ready") { Probe::Readiness } else { Probe::Liveness };
    let address = || {
        Config::read(|name| match name {
            "HOST" | "PORT" | "BASE_PATH" => lookup(name),
            "AUTH" => Some("off".to_owned()),
            _ => None,
        })
    };
    let url = match options.get_one::<String>("url") {
        Some(url) => Ok(url.clone()),
        None => address()
            .map(|config| match &config.address {
                Address::Tcp(address) => format!("{}{}", healthcheck::url(*address), config.base_path),
                Address::Unix(path) if config.base_path.is_empty() => format!("unix:{}", path.display()),
                Address::Unix(path) => format!("unix:{}:{}", path.display(), config.base_path),
            })
            .map_err(|problems| problems.join("; ")),
    };
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    let answer = url.and_then(|url| runtime.block_on(healthcheck::ask(&url, probe)));
    // A name may still be looked up.
    runtime.shutdown_background();
    finish(answer.and_then(|answer| writeln!(std::io::stdout(), "{answer}").map_err(|error| error.to_string())))
}

fn keys(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let file = lookup("KEYS_FILE").filter(|path| !path.is_empty());
    finish(key_admin::run_keys(file.as_deref().map(Path::new), key_command(options), &mut std::io::stdout()))
}

fn token(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let sources = match Config::read_keys(lookup) {
        Ok(sources) => sources,
        Err(problems) => return refused(&problems),
    };
    let run = |command| key_admin::run_token(&sources, command, &mut std::io::stdout());
    finish(token_command(options).and_then(run))
}

fn run_queue_command(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>, seen: &[&str]) -> ExitCode {
    let redis = match Config::read_redis(&lookup) {
        Ok(redis) => redis,
        Err(problems) => return refused(&problems),
    };
    start_logging(&lookup, seen);
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    finish(runtime.block_on(queue_admin::run(&redis, queue_command(options), &mut std::io::stdout())))
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("synckairos: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config, manager: ServiceManager) -> ExitCode {
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = signals else {
        error!("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    let mut running = match serve::start(config).await {
        Ok(running) => running,
        Err(serve::StartError::Listen { address, error }) => {
            error!(%address, %error, "cannot listen");
            return ExitCode::FAILURE;
        }
        Err(serve::StartError::Store(error)) => {
            error!(%error, "cannot keep sessions");
            return ExitCode::FAILURE;
        }
    };
    manager.ready();
    let living = manager.clone();
    running.supervisor().spawn_kept(Task::auxiliary("watchdog"), move || living.clone().heartbeat());
    let mut next_signal = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let signal = loop {
        tokio::select! {
            signal = next_signal() => break signal,
            _ = hangup.recv() => running.reload(),
            () = running.failed() => {
                error!("a part of the server has failed: stopped at once");
                return ExitCode::FAILURE;
            }
        }
    };
    manager.stopping();
    info!(signal, "stopping; once more to stop at once");
    tokio::select! {
        is_kept = running.stop() => match is_kept {
            true => {
                info!("stopped");
                ExitCode::SUCCESS
            }
            false => ExitCode::FAILURE,
        },
        signal = next_signal() => {
            error!(signal, "stopped at once");
            ExitCode::FAILURE
        }
    }
}
