//! The command line: every setting as an option, the commands and what `--help` says, as clap shows it. Does not know what
//! the settings and the commands do.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::auth::NewToken;
use crate::config::{SETTINGS, Setting, SettingKind};
use crate::engine::{ParticipantId, Uuid};
use crate::key_admin::{KeyCommand, TokenCommand};
use crate::queue_admin::QueueCommand;
use crate::wire::GrantClaim;

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
  synckairos keys new --id backend            a key, and its line for --keys-file
  synckairos --host 0.0.0.0 --keys-file keys.json
                                              for other machines, which must have a key or a token
  REDIS_URL=redis://127.0.0.1 AUDIT=off synckairos
                                              shared by any number of instances
  synckairos queue stats --redis-url redis://127.0.0.1
                                              how much of the audit waits

Try it:
  synckairos &
  curl localhost:3000/ready
  curl localhost:3000/api-docs.json

It stops in order on SIGTERM or SIGINT, and at once on the second.";

/// Settings that commands need too.
const SHARED: [&str; 13] = [
    "KEYS_FILE",
    "TOKEN_JWKS",
    "TOKEN_ALLOW",
    "TOKEN_ISSUER",
    "TOKEN_AUDIENCE",
    "DATA_DIR",
    "REDIS_URL",
    "REDIS_CA_CERT",
    "REDIS_CLIENT_CERT",
    "REDIS_CLIENT_KEY",
    "REDIS_PREFIX",
    "PARTITIONS",
    "DATABASE_URL",
];

/// The command line as clap knows it.
pub fn command() -> Command {
    Command::new("synckairos")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER_HELP)
        // What a setting is for stands beside it, however long its name.
        .term_width(0)
        .args(SETTINGS.iter().filter(|setting| setting.kind != SettingKind::Secret).map(option))
        .subcommand(keys())
        .subcommand(token())
        .subcommand(queue())
        .subcommands(maintenance())
        .subcommand(health())
}

/// The option of a setting, whose value is not judged here: all problems are told at once.
fn option(setting: &Setting) -> Arg {
    let flag = setting.name.to_ascii_lowercase().replace('_', "-");
    let default = if setting.default.is_empty() { "none" } else { setting.default };
    let help = format!("{} [env: {}] [default: {default}]", setting.help, setting.name);
    let option = Arg::new(setting.name).long(flag).value_name(setting.value).help(help);
    option.global(SHARED.contains(&setting.name)).help_heading(setting.heading())
}

fn queue() -> Command {
    let event = || Arg::new("event").value_name("EVENT_ID");
    let limit = Arg::new("limit").long("limit").value_name("COUNT").value_parser(value_parser!(usize));
    Command::new("queue")
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
        )
}

fn keys() -> Command {
    let id = || Arg::new("id").value_name("ID").required(true).help("Its name, which may be logged");
    let list = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("LIST").value_delimiter(',').default_value(default).help(help)
    };
    Command::new("keys")
        .about("Makes, lists and removes keys of --keys-file")
        .subcommand_required(true)
        .subcommand(
            Command::new("new")
                .about("Makes a key, and the line that lets a server know it")
                .arg(id().long("id"))
                .arg(list("allow", "*", "What it may do: permissions between commas"))
                .arg(list("sessions", "*", "In which sessions: ids, or the first 8 or more digits of one and *"))
                .after_help("Example:\n  synckairos keys new --id backend --allow '*,list,metrics'"),
        )
        .subcommand(
            Command::new("list")
                .about("Lists the keys: name, kind, what they may do, in which sessions")
                .after_help("Example:\n  synckairos keys list --keys-file keys.json"),
        )
        .subcommand(
            Command::new("remove")
                .about("Takes a key out of the file: whoever came in with it is closed out within 5 s")
                .arg(id())
                .after_help("Example:\n  synckairos keys remove backend --keys-file keys.json"),
        )
}

fn token() -> Command {
    let list = |name: &'static str| Arg::new(name).long(name).value_name("LIST").value_delimiter(',');
    Command::new("token")
        .about("Makes tokens of clients, and says what one is worth")
        .subcommand_required(true)
        .subcommand(
            Command::new("new")
                .about("Makes a token, signed by a key of kind hs256 of --keys-file, or by TOKEN_SECRET")
                .arg(Arg::new("sub").long("sub").value_name("TEXT").required(true).help("Who will have it"))
                .arg(list("sessions").required(true).help("In which sessions"))
                .arg(list("as").help("As which participants, for switch:own"))
                .arg(list("allow").default_value("read,watch,switch:own").help("What its holder may do"))
                .arg(
                    Arg::new("ttl")
                        .long("ttl")
                        .value_name("SECONDS")
                        .default_value("600")
                        .value_parser(value_parser!(u64).range(1..))
                        .help("How long it counts"),
                )
                .arg(Arg::new("key").long("key").value_name("ID").help("Which key signs it"))
                .after_help(
                    "Example:\n  synckairos token new --keys-file keys.json --sub alice --allow read,watch \\\n    \
                     --sessions 550e8400-e29b-41d4-a716-446655440000",
                ),
        )
        .subcommand(
            Command::new("check")
                .about(
                    "Reads a token or a key from its input, and says who has it and what they may do, or why nothing",
                )
                .after_help("Example:\n  synckairos token check --keys-file keys.json < token"),
        )
}

/// The command about keys that was given.
pub fn key_command(options: &ArgMatches) -> KeyCommand {
    match options.subcommand() {
        Some(("new", options)) => KeyCommand::New {
            id: text(options, "id"),
            allow: list(options, "allow"),
            sessions: list(options, "sessions"),
        },
        Some(("remove", options)) => KeyCommand::Remove { id: text(options, "id") },
        Some(_) | None => KeyCommand::List,
    }
}

/// The command about tokens that was given, or what is wrong with it.
pub fn token_command(options: &ArgMatches) -> Result<TokenCommand, String> {
    let Some(("new", options)) = options.subcommand() else { return Ok(TokenCommand::Check) };
    let participant =
        |text: String| Uuid::parse(&text).map(ParticipantId).ok_or_else(|| format!("--as: {text} is no UUID"));
    let participants = list(options, "as").into_iter().map(participant).collect::<Result<_, _>>()?;
    let grant = GrantClaim { sessions: list(options, "sessions"), participants, allow: list(options, "allow") };
    let lifetime_s = options.get_one("ttl").copied().unwrap_or_default();
    let key = options.get_one("key").cloned();
    Ok(TokenCommand::New(NewToken { subject: text(options, "sub"), lifetime_s, grant, key }))
}

fn text(options: &ArgMatches, name: &str) -> String {
    options.get_one(name).cloned().unwrap_or_default()
}

fn list(options: &ArgMatches, name: &str) -> Vec<String> {
    options.get_many(name).unwrap_or_default().cloned().collect()
}

fn maintenance() -> [Command; 3] {
    let migrate = Command::new("migrate").about("Brings the schema of --database-url up to date, and ends");
    let backup = Command::new("backup")
        .about("Copies --data-dir as it is at one instant into another directory, while a server has it or not")
        .arg(Arg::new("directory").value_name("DIR").required(true));
    let purge = Command::new("purge")
        .about("Forgets the history of a session in --database-url, or in a --data-dir that no server has")
        .arg(Arg::new("session").value_name("SESSION_ID").required(true));
    [migrate, backup, purge]
}

fn health() -> Command {
    Command::new("health")
        .about("Asks the server on --host and --port whether it lives; exits with 0 if so, with 1 if not")
        .arg(Arg::new("ready").long("ready").action(ArgAction::SetTrue).help("Whether it serves, too"))
        .arg(Arg::new("url").long("url").value_name("URL").help("Another server, such as http://192.0.2.1:3000"))
}

/// The queue's command that was given.
pub fn queue_command(options: &ArgMatches) -> QueueCommand {
    match options.subcommand() {
        Some(("dead", options)) => QueueCommand::Dead(options.get_one("limit").copied().unwrap_or_default()),
        Some(("redrive", options)) => {
            QueueCommand::Redrive(options.get_many("event").unwrap_or_default().cloned().collect())
        }
        Some(("drop", options)) => QueueCommand::Drop(options.get_one("event").cloned().unwrap_or_default()),
        Some(_) | None => QueueCommand::Stats,
    }
}
