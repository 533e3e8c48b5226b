//! The throughput of switches on one session, on many, and on one with many clients.

use crate::generator::failure::{Failure, Result};
use crate::generator::switches::{SwitchOverSocket, SwitchTogether};
use crate::interleave::{Benchmark, Load, RequestBenchmark, baseline, interleave};
use crate::parameter::Parameter;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "switching",
    about: "Switches as fast as it can: one session over a WebSocket, many, and one by many clients at once",
    details: "\
One client switches one session over its WebSocket, waiting for each result; then as many clients as there are connections, \
each a session of its own; then all of them the same session over HTTP. Updates must come beside the results; of a session that \
many switch, each version must be the response to exactly one of them, and none may be missing.",
    parameters: &[
        Parameter::Connections("64"),
        Parameter::Rate(""),
        Parameter::DurationS("10"),
        Parameter::SliceMs("2000"),
    ],
    needs: Needs::DEFAULT,
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let load = Load::new(run.options.rate);
    for connections in run.options.connections.clone() {
        let mut benchmarks: Vec<Box<dyn Benchmark>> = baseline(run, 1, &load).into_iter().collect();
        benchmarks.extend(baseline(run, connections, &load).filter(|_| connections > 1));
        let mut shared = Vec::new();
        for target in run.targets() {
            let sessions = run.factory.sessions(&target, connections + 2).await?;
            let alone = SwitchOverSocket::boxed(&sessions, connections);
            benchmarks.push(RequestBenchmark::changes(&target, "one session over its WebSocket", &load, [alone]));
            let each = (0..connections).map(|index| SwitchOverSocket::boxed(&sessions, index));
            benchmarks.push(RequestBenchmark::changes(&target, "a session for each, over WebSockets", &load, each));
            let id = sessions.id(connections + 1);
            let (together, given) = SwitchTogether::boxed(&id, connections);
            benchmarks.push(RequestBenchmark::changes(&target, "one session for all, over HTTP", &load, together));
            shared.push((id, given));
        }
        interleave(run, benchmarks).await?;
        for (id, given) in shared {
            if !given.lock().is_whole() {
                return Err(Failure::Wrong(format!("{id}: a version was the response to nobody")));
            }
        }
    }
    Ok(())
}
