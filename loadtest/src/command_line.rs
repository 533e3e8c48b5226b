//! The command line, and the help that teaches it. Does not know how options are used.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::scenario::Scenario;
use crate::scenarios::SCENARIOS;
use crate::scripts;

const ABOUT: &str = "Loads SyncKairos, checks every response, and says how fast it was";

const AFTER_HELP: &str = "\
Without --url it starts the server that was built beside it (cargo build --release), or the one that SYNCKAIROS_BIN names, on a
free port and without a rate limit on switches; with --file, --redis or --audit also what that server keeps sessions in. The
server inherits the environment, so that any setting can be tried: PARTITIONS=32 loadtest baseline --redis.

A server that is given by --url needs RATE_LIMIT_SWITCH=0 and, if it has keys, a --token-file that may do everything; a new run does not mind what earlier ones have left in it.

Every response is checked: its status, session, version and whose turn it is, one in 64 in full. A wrong one ends the run with
exit code 1; what cannot be measured at all ends with 2.

Closed loop (the default of some scenarios): each connection sends its next request when it has its last response. That says how
much a server can do. Next to it runs the baseline: hyper, sending 900 bytes, in turns of some seconds on the same machine;
figures are worth comparing as ratios to it.

Open loop (--rate): when requests are to be sent is fixed beforehand, and latencies count from then, also when no connection
was free: a server that stalls for a second shows as all the requests that should have been answered in that second. That
says how long clients wait at a load.

Examples:
  loadtest baseline                           what the machine, reads, switches and creations come to, in memory
  loadtest baseline --redis --rate 5000       latencies at 5,000 requests/s, sessions in Redis
  loadtest baseline --against http://10.0.0.2:3000=other --report page.html
  loadtest fan-out --redis --instances 2      from a change at one instance to 1,000 clients of another
  loadtest SCENARIO --help                    what a scenario does, what it checks, what it can be told";

/// The whole command line.
pub(crate) fn command() -> Command {
    let bare = Command::new("bare").about("Serves 900 bytes, for ever: the baseline").arg(
        Arg::new("port")
            .long("port")
            .value_parser(value_parser!(u16))
            .default_value("0")
            .help("Where, on 127.0.0.1; 0 is anywhere, and it says where"),
    );
    Command::new("loadtest")
        .about(ABOUT)
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand_value_name("SCENARIO")
        .subcommand_help_heading("Scenarios")
        .subcommands(SCENARIOS.iter().map(subcommand))
        .subcommands(scripts::commands())
        .subcommand(bare)
}

fn subcommand(scenario: &Scenario) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help).help_heading("Servers")
    };
    let servers = [
        Arg::new("url").long("url").value_name("URL").action(ArgAction::Append).value_parser(url).help(
            "A server that is there already; repeat it for each of its instances, over which connections are divided",
        ),
        Arg::new("pid")
            .long("pid")
            .value_name("PID")
            .requires("url")
            .value_parser(value_parser!(u32))
            .help("Its process, for what it costs"),
        Arg::new("token-file")
            .long("token-file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("The key or token that every request shows, for servers that want one"),
        Arg::new("against")
            .long("against")
            .value_name("URL=NAME")
            .action(ArgAction::Append)
            .value_parser(against)
            .help("Another server that takes turns with it; ratios are told. The same name again is another instance"),
        Arg::new("instances")
            .long("instances")
            .value_name("N")
            .value_parser(value_parser!(u64).range(1..=64))
            .default_value("1")
            .help("Instances to start"),
    ];
    let servers = servers.map(|arg| arg.help_heading("Servers"));
    let outputs =
        [("report", "Writes a page with tables and plots, in one file"), ("json", "Writes all figures as JSON")];
    let outputs = outputs.map(|(name, help)| {
        let arg = Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help);
        arg.help_heading("Outputs")
    });
    Command::new(scenario.name)
        .about(scenario.about)
        .long_about(format!("{}\n\n{}", scenario.about, scenario.details))
        .args(scenario.parameters.iter().map(|parameter| parameter.arg()))
        .args(servers)
        .arg(flag("file", "Keep sessions in a file").conflicts_with_all(["redis", "audit"]))
        .arg(flag("redis", "Keep sessions in a redis-server that is started too"))
        .arg(flag(
            "audit",
            "With Redis, write changes into a PostgreSQL that is started too; with --url: it is audited",
        ))
        .arg(flag("durable", "Redis and PostgreSQL write to the disk before they answer"))
        .args(outputs)
}

/// A base URL.
fn url(text: &str) -> Result<SocketAddr, String> {
    let rest = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if rest.contains('/') {
        return Err("not http://HOST:PORT; nothing may follow, and https is not spoken".to_owned());
    }
    let with_port = if rest.contains(':') { rest.to_owned() } else { format!("{rest}:80") };
    let mut addresses = with_port.to_socket_addrs().map_err(|error| error.to_string())?;
    addresses.next().ok_or_else(|| "no address has this name".to_owned())
}

fn against(text: &str) -> Result<(String, SocketAddr), String> {
    let (at, name) = text.rsplit_once('=').ok_or("not URL=NAME")?;
    Ok((name.to_owned(), url(at)?))
}
