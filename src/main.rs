//! The program: arguments and environment to a [`Config`], a server until a signal or a task for people who run
//! one, an exit code.
//!
//! Exits with 0 after an orderly stop or when the task is done, 1 when it cannot listen or keep sessions, is told
//! twice to stop, or the task cannot be done, 2 when it was told something that makes no sense.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use synckairos::config::{Address, Config, SETTINGS};
use synckairos::health::{self, Question};
use synckairos::notify::Manager;
use synckairos::operate::{self, Task};
use synckairos::supervision::{self, Task as Kept};
use synckairos::{logging, serve};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

const ABOUT: &str = "Keeps clocks in sync for many people at once: chess and turn-based games, quizzes, \
auctions, exams, meetings, live shows.";

const AFTER_HELP: &str = "\
Every option can also be given as an environment variable; an option wins.

Sessions live in this process and are lost when it ends.
With --data-dir they are kept in a file, and come back after a restart or a crash.
With --redis-url any number of instances serve the same sessions, and every change
is written into --database-url.

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
    if let Some(("migrate", _)) = matches.subcommand() {
        return migrate(lookup("DATABASE_URL").unwrap_or_default());
    }
    if let Some(("health", options)) = matches.subcommand() {
        return health(options, lookup);
    }
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
    supervision::log_panics();
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    let code = match task(&matches) {
        Some(task) => runtime.block_on(operate(&config, task)),
        None => runtime.block_on(run(config, Manager::find(lookup))),
    };
    // What still runs would be waiting for clients that do not answer.
    runtime.shutdown_background();
    code
}

fn runtime() -> Option<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.inspect_err(|error| error!(%error, "cannot start")).ok()
}

fn migrate(url: String) -> ExitCode {
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    told(runtime.block_on(operate::migrate(&url, &mut std::io::stdout())))
}

/// The server that HOST and PORT tell of, unless there is a URL; nothing else that was told matters.
fn health(options: &ArgMatches, lookup: impl Fn(&str) -> Option<String>) -> ExitCode {
    let question = if options.get_flag("ready") { Question::Serves } else { Question::Lives };
    let address = || Config::read(|name| ["HOST", "PORT", "BASE_PATH"].contains(&name).then(|| lookup(name))?);
    let url = match options.get_one::<String>("url") {
        Some(url) => Ok(url.clone()),
        None => address()
            .map(|config| match &config.address {
                Address::Tcp(address) => format!("{}{}", health::url(*address), config.base_path),
                Address::Unix(path) if config.base_path.is_empty() => format!("unix:{}", path.display()),
                Address::Unix(path) => format!("unix:{}:{}", path.display(), config.base_path),
            })
            .map_err(|problems| problems.join("; ")),
    };
    let Some(runtime) = runtime() else { return ExitCode::FAILURE };
    let answer = url.and_then(|url| runtime.block_on(health::ask(&url, question)));
    // A name may still be looked up.
    runtime.shutdown_background();
    told(answer.and_then(|answer| writeln!(std::io::stdout(), "{answer}").map_err(|error| error.to_string())))
}

async fn operate(config: &Config, task: Task) -> ExitCode {
    told(operate::run(config, task, &mut std::io::stdout()).await)
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

async fn run(config: Config, manager: Manager) -> ExitCode {
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
    running.supervisor().spawn_kept(Kept::auxiliary("watchdog"), move || living.clone().live());
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

/// What is to be done beside serving.
fn task(matches: &ArgMatches) -> Option<Task> {
    match matches.subcommand()? {
        ("queue", queue) => match queue.subcommand()? {
            ("dead", options) => options.get_one("limit").copied().map(Task::Dead),
            ("redrive", options) => {
                Some(Task::Redrive(options.get_many("event").unwrap_or_default().cloned().collect()))
            }
            ("drop", options) => options.get_one("event").cloned().map(Task::Drop),
            _ => Some(Task::Stats),
        },
        _ => None,
    }
}

fn command() -> Command {
    /// What tasks need to know too.
    const SHARED: [&str; 7] = [
        "REDIS_URL",
        "REDIS_CA_CERT",
        "REDIS_CLIENT_CERT",
        "REDIS_CLIENT_KEY",
        "REDIS_PREFIX",
        "PARTITIONS",
        "DATABASE_URL",
    ];
    let options = SETTINGS.iter().map(|setting| {
        let flag = setting.name.to_ascii_lowercase().replace('_', "-");
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        let help = format!("{} [env: {}] [default: {default}]", setting.help, setting.name);
        let option = Arg::new(setting.name).long(flag).value_name(setting.value).help(help);
        option.global(SHARED.contains(&setting.name))
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
    let health = Command::new("health")
        .about("Asks the server on --host and --port whether it lives; exits with 0 if so, with 1 if not")
        .arg(Arg::new("ready").long("ready").action(ArgAction::SetTrue).help("Whether it serves, too"))
        .arg(Arg::new("url").long("url").value_name("URL").help("Another server, such as http://192.0.2.1:3000"));
    Command::new("synckairos")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER_HELP)
        .args(options)
        .subcommand(queue)
        .subcommand(migrate)
        .subcommand(health)
}
