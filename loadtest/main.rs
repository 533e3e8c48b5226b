//! The load generator: measures a server against the floor, which is what hyper does on this machine in
//! the same run when it has nothing to do but to send 900 bytes.
//!
//!     cargo build --release && cargo run --release --example loadtest
//!
//! starts both servers and prints a table. Every answer is checked; a wrong one ends the run. The server inherits the
//! environment: with DATA_DIR it keeps sessions in a file.

mod across;
mod bare;
mod client;
mod idle;
mod run;
mod servers;
mod socket;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};

fn main() -> ExitCode {
    let matches = command().get_matches();
    let outcome = match matches.subcommand() {
        Some(("bare", _)) => bare::serve(),
        Some(("across", options)) => across::measure(*options.get_one("changes").expect("it has a default")),
        Some(("idle", options)) => idle::measure(*options.get_one("sockets").expect("it has a default")),
        _ => run::compare(&plan(&matches)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan(options: &ArgMatches) -> run::Plan {
    let number = |name: &str| *options.get_one::<u64>(name).expect("it has a default");
    run::Plan {
        connections: number("connections") as usize,
        sessions: number("sessions") as usize,
        rounds: number("rounds") as usize,
        slice: Duration::from_millis(number("slice-ms")),
    }
}

fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_parser(value_parser!(u64).range(1..)).default_value(default).help(help)
    };
    Command::new("loadtest")
        .about("Measures SyncKairos against a bare hyper server, in turns")
        .arg(number("connections", "64", "Connections, each with one request under way"))
        .arg(number("sessions", "1000", "Sessions that are read and switched"))
        .arg(number("rounds", "5", "How often the servers take turns"))
        .arg(number("slice-ms", "2000", "How long a turn is"))
        .subcommand(Command::new("bare").about("Serves 900 static bytes; says where"))
        .subcommand(
            Command::new("across")
                .about("Measures how long a change takes to a client of another instance; needs REDIS_URL")
                .arg(Arg::new("changes").long("changes").value_parser(value_parser!(usize)).default_value("5000")),
        )
        .subcommand(
            Command::new("idle")
                .about("Opens WebSockets that do nothing and says what they cost in memory")
                .arg(Arg::new("sockets").long("sockets").value_parser(value_parser!(usize)).default_value("10000")),
        )
}
