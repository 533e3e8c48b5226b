//! What reads, switches and creations come to, next to the floor.

use crate::generator::errands::{Create, Read};
use crate::generator::failure::Result;
use crate::generator::switches::Switch;
use crate::options::Knob;
use crate::run::Run;
use crate::servers::Needs;
use crate::turns::{Lane, Load, Requests, floor, in_turns};

use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "baseline",
    about: "Reads, switches and creates sessions, next to the floor",
    details: "\
GET, switch and create take turns with the floor, first over 64 connections, then over one. A read must show exactly what the \
last switch of its session left; a switch must make the version after the last one and pass the turn on. With --audit each turn \
waits until everything is written, and the table says what the rate is when that time is counted in.",
    knobs: &[
        Knob::Connections("64,1"),
        Knob::Rate(""),
        Knob::Sessions("1000"),
        Knob::DurationS("10"),
        Knob::SliceMs("2000"),
    ],
    needs: Needs::DEFAULT,
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let (load, count) = (Load::new(run.options.rate), run.options.sessions);
    let mut sessions = Vec::new();
    for target in run.targets() {
        sessions.push((run.maker.sessions(&target, count).await?, target));
    }
    for connections in run.options.connections.clone() {
        let used = connections.min(count);
        let mut lanes: Vec<Box<dyn Lane>> = floor(run, used, &load).into_iter().collect();
        for (sessions, target) in &sessions {
            let shares = sessions.shares(used);
            let reads = shares.iter().map(|places| Read::boxed(sessions, places));
            let switches = shares.iter().map(|places| Switch::boxed(sessions, places, None));
            let creations = (0..used).map(|_| Create::boxed(&run.maker.numbers));
            lanes.push(Requests::reads(target, "GET a session", &load, reads));
            let work = format!("switch over {count} sessions");
            lanes.push(Requests::changes(target, &work, &load, switches));
            lanes.push(Requests::changes(target, "create a session", &load, creations));
        }
        in_turns(run, lanes).await?;
    }
    for target in run.targets() {
        run.memory_figure(&target, "memory afterwards");
    }
    Ok(())
}
