//! What a run is told on the command line, and the help that teaches it. Does not know what scenarios do.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::scenarios::{SCENARIOS, Scenario};
use crate::scripts;

const ABOUT: &str = "Loads SyncKairos, checks every answer, and says how fast it was";

const AFTER_HELP: &str = "\
Without --url it starts the server that was built beside it (cargo build --release), or the one that SYNCKAIROS_BIN names, on a
free port and without a rate limit on switches; with --file, --redis or --audit also what that server keeps sessions in. The server inherits the environment, so
that any setting can be tried: PARTITIONS=32 loadtest baseline --redis.

A server that is given by --url needs RATE_LIMIT_SWITCH=0, and a new run does not mind what earlier ones have left in it.

Every answer is checked: its status, session, version and whose turn it is, one in 64 in full. A wrong one ends the run with
exit code 1; what cannot be measured at all ends with 2.

Closed loop (the default of some scenarios): each connection sends its next request when it has its last answer. That says how
much a server can do. Next to it runs the floor: hyper, sending 900 bytes, in turns of some seconds on the same machine;
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

/// What a run is told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where the server is; it is started when there are none.
    pub(crate) urls: Vec<SocketAddr>,
    /// Its process, if that is known.
    pub(crate) pid: Option<u32>,
    /// Others that take turns with it.
    pub(crate) against: Vec<(String, Vec<SocketAddr>)>,
    /// What a server that is started keeps sessions in.
    pub(crate) backend: Backend,
    /// Redis and PostgreSQL write to the disk before they answer.
    pub(crate) is_durable: bool,
    pub(crate) instances: usize,
    pub(crate) connections: Vec<usize>,
    pub(crate) rate: Option<f64>,
    pub(crate) duration: Duration,
    pub(crate) slice: Duration,
    pub(crate) sessions: usize,
    pub(crate) clients: usize,
    pub(crate) changes: u64,
    pub(crate) report: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    /// As it was typed.
    pub(crate) command_line: String,
}

/// What a server keeps sessions in; each needs more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    Memory,
    File,
    Redis,
    AuditRow,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Memory => "in memory",
            Backend::File => "file",
            Backend::Redis => "Redis",
            Backend::AuditRow => "Redis + audit",
        }
    }
}

/// Something that a scenario can be told, with what it does otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Knob {
    /// Numbers of connections, each measured by itself.
    Connections(&'static str),
    /// Requests a second; an empty text is a closed loop.
    Rate(&'static str),
    /// How long each figure is measured, in seconds.
    DurationS(&'static str),
    /// How long a turn is, in ms.
    SliceMs(&'static str),
    Sessions(&'static str),
    /// Clients of each session.
    Clients(&'static str),
    Changes(&'static str),
}

impl Knob {
    fn arg(self) -> Arg {
        let number = |arg: Arg| arg.value_parser(value_parser!(u64).range(1..)).value_name("N");
        match self {
            Knob::Connections(default) => Arg::new("connections")
                .long("connections")
                .value_name("N,N")
                .value_delimiter(',')
                .value_parser(value_parser!(u64).range(1..=20_000))
                .default_value(default)
                .help("Connections, each with one request under way; several numbers are measured one by one"),
            Knob::Rate(default) => {
                let arg = Arg::new("rate").long("rate").value_name("N").value_parser(rate);
                let arg = arg.help("Requests a second, over all connections: open loop");
                if default.is_empty() { arg } else { arg.default_value(default) }
            }
            Knob::DurationS(default) => number(Arg::new("duration").long("duration"))
                .value_name("S")
                .default_value(default)
                .help("How long each figure is measured in all, in seconds"),
            Knob::SliceMs(default) => number(Arg::new("slice-ms").long("slice-ms"))
                .value_name("MS")
                .default_value(default)
                .help("How long a turn is: what is compared is measured in turns"),
            Knob::Sessions(default) => {
                number(Arg::new("sessions").long("sessions")).default_value(default).help("Sessions")
            }
            Knob::Clients(default) => number(Arg::new("clients").long("clients"))
                .default_value(default)
                .help("WebSocket clients of each session"),
            Knob::Changes(default) => {
                number(Arg::new("changes").long("changes")).default_value(default).help("Changes that wait")
            }
        }
    }
}

/// The whole command line.
pub(crate) fn command() -> Command {
    let bare = Command::new("bare").about("Serves 900 bytes, for ever: the floor").arg(
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
        .args(scenario.knobs.iter().map(|knob| knob.arg()))
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

impl Options {
    /// What a scenario is told.
    pub(crate) fn read(matches: &ArgMatches) -> Self {
        let number = |name: &str| matches.try_get_one::<u64>(name).ok().flatten().copied().unwrap_or_default();
        let connections = matches.try_get_many::<u64>("connections").ok().flatten();
        let backend = match (matches.get_flag("file"), matches.get_flag("redis"), matches.get_flag("audit")) {
            (_, _, true) => Backend::AuditRow,
            (_, true, false) => Backend::Redis,
            (true, false, false) => Backend::File,
            (false, false, false) => Backend::Memory,
        };
        let mut all: Vec<(String, Vec<SocketAddr>)> = Vec::new();
        for (name, address) in matches.get_many::<(String, SocketAddr)>("against").into_iter().flatten() {
            match all.iter_mut().find(|(other, _)| other == name) {
                Some((_, addresses)) => addresses.push(*address),
                None => all.push((name.clone(), vec![*address])),
            }
        }
        Self {
            urls: matches.get_many("url").into_iter().flatten().copied().collect(),
            pid: matches.get_one("pid").copied(),
            against: all,
            backend,
            is_durable: matches.get_flag("durable"),
            instances: number("instances") as usize,
            connections: connections.into_iter().flatten().map(|&number| number as usize).collect(),
            rate: matches.try_get_one("rate").ok().flatten().copied(),
            duration: Duration::from_secs(number("duration")),
            slice: Duration::from_millis(number("slice-ms")),
            sessions: number("sessions") as usize,
            clients: number("clients") as usize,
            changes: number("changes"),
            report: matches.get_one("report").cloned(),
            json: matches.get_one("json").cloned(),
            command_line: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        }
    }

    /// How many turns each of those has that are compared.
    pub(crate) fn rounds(&self) -> usize {
        self.duration.div_duration_f64(self.slice).ceil().max(1.0) as usize
    }
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

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().map_err(|error| error.to_string())?;
    if rate > 0.0 && rate <= 1_000_000.0 { Ok(rate) } else { Err("not from 0 to 1000000".to_owned()) }
}
