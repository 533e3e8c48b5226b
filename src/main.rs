//! The program: reads arguments and environment into a [`Config`], runs a server until a signal or one command, and returns
//! an exit code.
//!
//! Exits with 0 after a graceful shutdown or when the command has succeeded, 1 when it cannot listen or open its store, gets
//! a second signal, or the command fails, 2 when arguments or settings are invalid.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use synckairos::config::{self, Address, Config, SETTINGS, SettingKind};
use synckairos::healthcheck::{self, Probe};
use synckairos::maintenance::{self, HistoryLocation};
use synckairos::queue_admin::{self, QueueCommand};
use synckairos::sd_notify::ServiceManager;
use synckairos::supervision::{self, Task};
use synckairos::{logging, serve};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

const ABOUT: &str = "Keeps clocks in sync for many people at once: chess and turn-based games, quizzes, \
auctions, exams, meetings, live shows.";

const AFTER_HELP: &str = "\
Every setting is an environment variable, and all but passwords are options too; an option wins. A setting NAME
may also stand in a file that the environment variable NAME_FILE names, such as REDIS_PASSWORD_FILE; white space around
it does not count. Passwords are read again for each new connection, so that a new one needs no restart.

Sessions live in this process and are lost when it ends.
With --data-dir they are kept in a file, and come back after a restart or a crash.
With --redis-url any number of instances serve the same sessions, and every change
is written into --database-url.

Examples:
  synckairos                                  sessions in this process, on 127.0.0.1:3000
  synckairos --data-dir ./data                kept over a restart
  synckairos --host 0.0.0.0 --port 8080       for other machines
  REDIS_URL=redis://127.0.0.1 AUDIT=off synckairos
                                              shared by any number of instances
  synckairos queue stats --redis-url redis://127.0.0.1
                                              how much of the audit waits

Try it:
  synckairos &
  curl localhost:3000/ready
  curl localhost:3000/api-docs.json

It stops in order on SIGTERM or SIGINT, and at once on the second.";

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

/// What was told makes no sense.
fn refused(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("synckairos: {problem}");
    }
    eprintln!("synckairos: see --help");
    ExitCode::from(2)
}

/// Logs as it was told to, if that can be understood; begins with what everybody on this machine has seen.
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
    told(runtime.block_on(maintenance::migrate(&database, &mut std::io::stdout())))
}

/// Copies DATA_DIR; nothing else that was told matters.
fn backup(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let Some(path) = lookup("DATA_DIR").filter(|path| !path.is_empty()) else {
        return told(Err("DATA_DIR is needed for that".to_owned()));
    };
    let to = options.get_one::<String>("directory").cloned().unwrap_or_default();
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    told(runtime.block_on(maintenance::back_up(path.into(), to.into(), &mut std::io::stdout())))
}

/// Forgets history where DATA_DIR or DATABASE_URL tell that it is; nothing else that was told matters.
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
    told(runtime.block_on(maintenance::purge(history, id, &mut std::io::stdout())))
}

/// The server that HOST and PORT tell of, unless there is a URL; nothing else that was told matters.
fn health(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let probe = if options.get_flag("ready") { Probe::Readiness } else { Probe::Liveness };
    let address = || Config::read(|name| ["HOST", "PORT", "BASE_PATH"].contains(&name).then(|| lookup(name))?);
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
    told(answer.and_then(|answer| writeln!(std::io::stdout(), "{answer}").map_err(|error| error.to_string())))
}

fn run_queue_command(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>, seen: &[&str]) -> ExitCode {
    let redis = match Config::read_redis(&lookup) {
        Ok(redis) => redis,
        Err(problems) => return refused(&problems),
    };
    start_logging(&lookup, seen);
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    told(runtime.block_on(queue_admin::run(&redis, queue_command(options), &mut std::io::stdout())))
}

fn told(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("synckairos: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config, manager: ServiceManager) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    let address = config.address.clone();
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
    manager.ready();
    let living = manager.clone();
    running.supervisor().spawn_kept(Task::auxiliary("watchdog"), move || living.clone().heartbeat());
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
        signal = told() => {
            error!(signal, "stopped at once");
            ExitCode::FAILURE
        }
    }
}

/// What is to be done with the queue.
fn queue_command(options: &ArgMatches) -> QueueCommand {
    match options.subcommand() {
        Some(("dead", options)) => QueueCommand::Dead(options.get_one("limit").copied().unwrap_or_default()),
        Some(("redrive", options)) => {
            QueueCommand::Redrive(options.get_many("event").unwrap_or_default().cloned().collect())
        }
        Some(("drop", options)) => QueueCommand::Drop(options.get_one("event").cloned().unwrap_or_default()),
        Some(_) | None => QueueCommand::Stats,
    }
}

fn command() -> Command {
    /// What tasks need to know too.
    const SHARED: [&str; 8] = [
        "DATA_DIR",
        "REDIS_URL",
        "REDIS_CA_CERT",
        "REDIS_CLIENT_CERT",
        "REDIS_CLIENT_KEY",
        "REDIS_PREFIX",
        "PARTITIONS",
        "DATABASE_URL",
    ];
    let options = SETTINGS.iter().filter(|setting| setting.kind != SettingKind::Secret).map(|setting| {
        let flag = setting.name.to_ascii_lowercase().replace('_', "-");
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        let help = format!("{} [env: {}] [default: {default}]", setting.help, setting.name);
        let option = Arg::new(setting.name).long(flag).value_name(setting.value).help(help);
        option.global(SHARED.contains(&setting.name)).help_heading(setting.heading())
    });
    let event = || Arg::new("event").value_name("EVENT_ID");
    let limit = Arg::new("limit").long("limit").value_name("COUNT").value_parser(value_parser!(usize));
    let queue = Command::new("queue")
        .about("Looks into the audit queue of --redis-url")
        .subcommand_required(true)
        .subcommand(Command::new("stats").about("Shows how much is queued"))
        .subcommand(
            Command::new("dead")
                .about("Shows jobs that were given up, with their last error, oldest first")
                .arg(limit.default_value("10").help("Jobs at most")),
        )
        .subcommand(
            Command::new("redrive")
                .about("Queues jobs again that were given up")
                .arg(event().num_args(0..).help("Only the jobs of these events")),
        )
        .subcommand(
            Command::new("drop")
                .about("Takes a job away for good that was given up: its change is never audited")
                .arg(event().required(true)),
        );
    let migrate = Command::new("migrate").about("Brings the schema of --database-url up to date, and ends");
    let backup = Command::new("backup")
        .about("Copies --data-dir as it is at one instant into another directory, while a server has it or not")
        .arg(Arg::new("directory").value_name("DIR").required(true));
    let purge = Command::new("purge")
        .about("Forgets the history of a session in --database-url, or in a --data-dir that no server has")
        .arg(Arg::new("session").value_name("SESSION_ID").required(true));
    let health = Command::new("health")
        .about("Asks the server on --host and --port whether it lives; exits with 0 if so, with 1 if not")
        .arg(Arg::new("ready").long("ready").action(ArgAction::SetTrue).help("Whether it serves, too"))
        .arg(Arg::new("url").long("url").value_name("URL").help("Another server, such as http://192.0.2.1:3000"));
    Command::new("synckairos")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER_HELP)
        // What a setting is for stands beside it, however long its name.
        .term_width(0)
        .args(options)
        .subcommand(queue)
        .subcommand(migrate)
        .subcommand(backup)
        .subcommand(purge)
        .subcommand(health)
}
