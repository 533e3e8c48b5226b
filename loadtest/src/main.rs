//! The load generator: loads a server, checks every response, and reports how fast it is, next to a baseline: what hyper does on
//! the same machine when it has nothing to do.
//!
//!     cargo build --release && cargo run --release -p loadtest -- --help
//!
//! `generator` sends and checks, `servers` starts what is measured, `scenarios` say what is sent, `interleave` compares, `report`
//! writes what it came to.

mod command_line;
mod generator;
mod options;
mod parameter;
mod progress;
mod report;
mod run;
mod scenario;
mod scenarios;
mod scripts;
mod servers;
mod interleave;

use std::io;
use std::process::ExitCode;

use clap::ArgMatches;
use tokio::signal::unix::{SignalKind, signal};

use generator::credential;
use generator::failure::{Failure, Result};
use generator::sessions::SessionIds;
use options::Options;
use progress::Progress;
use report::Report;
use report::machine::Machine;
use run::{Run, SessionFactory};
use scenario::Scenario;
use scenarios::SCENARIOS;
use servers::{Fleet, baseline};

fn main() -> ExitCode {
    let matches = command_line::command().get_matches();
    let (name, matches) = matches.subcommand().expect("a scenario is required");
    let outcome = match SCENARIOS.iter().find(|scenario| scenario.name == name) {
        Some(scenario) => run(scenario, matches),
        None => scripts::run(name, matches).unwrap_or_else(|| {
            let port = matches.get_one("port").expect("it has a default");
            baseline::serve(*port).map_err(Failure::from)
        }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure @ Failure::Wrong(_)) => {
            eprintln!("loadtest: {failure}");
            ExitCode::FAILURE
        }
        Err(failure @ Failure::Broken(_)) => {
            eprintln!("loadtest: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(scenario: &Scenario, matches: &ArgMatches) -> Result<()> {
    let options = Options::read(matches);
    if let Some(path) = &options.token_file {
        let read = std::fs::read_to_string(path);
        let token = read.map_err(|error| Failure::broken(format!("{}: {error}", path.display())))?;
        credential::set(token.trim());
    }
    let report = Report {
        scenario: scenario.name,
        about: scenario.about,
        command_line: options.command_line.clone(),
        machine: Machine::read(),
        rows: Vec::new(),
        figures: Vec::new(),
        series: Vec::new(),
        notes: Vec::new(),
    };
    // Before there is a runtime: the client of PostgreSQL has one of its own.
    let fleet = Fleet::start(&scenario.needs, &options)?;
    let progress = Progress::new();
    let factory = SessionFactory { session_ids: SessionIds::new(), progress: progress.clone() };
    let mut run = Run { options, fleet, factory, report, progress };
    // One thread: the generator leaves the other cores to the servers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let saying = run.progress.say();
        let outcome = tokio::select! {
            outcome = work(scenario, &mut run) => outcome,
            interrupted = interrupted() => interrupted.map_err(Failure::from),
        };
        saying.abort();
        outcome
    });
    run.progress.clear();
    // What was measured before something went wrong may say why.
    if outcome.is_ok() || !run.report.is_empty() {
        run.write_reports()?;
    }
    outcome
}

async fn work(scenario: &Scenario, run: &mut Run) -> Result<()> {
    for target in run.targets() {
        target.begin_audit().await?;
    }
    (scenario.run)(run).await
}

/// Ends with the first signal, so that servers that were started do not outlive the run.
async fn interrupted() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"))
}
