//! Throughput and latency of reads, switches and creations, next to the baseline.

use crate::generator::failure::Result;
use crate::generator::switches::Switch;
use crate::generator::workload::{Create, Read};
use crate::interleave::{Benchmark, Load, RequestBenchmark, baseline, interleave};
use crate::parameter::Parameter;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "baseline",
    about: "Reads, switches and creates sessions, next to the baseline",
    details: "\
GET, switch and create take turns with the baseline, first over 64 connections, then over one. A read must show exactly what the \
last switch of its session left; a switch must make the version after the last one and pass the turn on. With --audit each turn \
waits until everything is written, and the table says what the rate is when that time is counted in.",
    parameters: &[
        Parameter::Connections("64,1"),
        Parameter::Rate(""),
        Parameter::Sessions("1000"),
        Parameter::DurationS("10"),
        Parameter::SliceMs("2000"),
    ],
    needs: Needs::DEFAULT,
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let (load, count) = (Load::new(run.options.rate), run.options.sessions);
    let mut sessions = Vec::new();
    for target in run.targets() {
        sessions.push((run.factory.sessions(&target, count).await?, target));
    }
    for connections in run.options.connections.clone() {
        let used = connections.min(count);
        let mut benchmarks: Vec<Box<dyn Benchmark>> = baseline(run, used, &load).into_iter().collect();
        for (sessions, target) in &sessions {
            let shares = sessions.shares(used);
            let reads = shares.iter().map(|indexes| Read::boxed(sessions, indexes));
            let switches = shares.iter().map(|indexes| Switch::boxed(sessions, indexes, None));
            let creations = (0..used).map(|_| Create::boxed(&run.factory.session_ids));
            benchmarks.push(RequestBenchmark::reads(target, "GET a session", &load, reads));
            let work = format!("switch over {count} sessions");
            benchmarks.push(RequestBenchmark::changes(target, &work, &load, switches));
            benchmarks.push(RequestBenchmark::changes(target, "create a session", &load, creations));
        }
        interleave(run, benchmarks).await?;
    }
    for target in run.targets() {
        run.memory_figure(&target, "memory afterwards");
    }
    Ok(())
}
