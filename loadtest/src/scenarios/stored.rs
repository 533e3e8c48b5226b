//! The latency of a switch next to few stored sessions, and next to many.

use crate::generator::failure::Result;
use crate::generator::switches::Switch;
use crate::interleave::{Benchmark, Load, RequestBenchmark, baseline, interleave};
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;

/// Numbers of stored sessions, up to that of the options.
const STEPS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Sessions that are switched, spread over all that are stored.
const SWITCHED: usize = 1_000;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stored",
    about: "Switches next to 1,000, 10,000, 100,000 and 1,000,000 stored sessions",
    details: "\
Sessions are created and started, so that each has a deadline, until there are as many as a step says; then 1,000 of them, spread over \
all, are switched, over one connection and over 64, in turns with the baseline. The latency should be the same at every step.",
    parameters: &[
        Parameter::Connections("1,64"),
        Parameter::Sessions("1000000"),
        Parameter::DurationS("6"),
        Parameter::SliceMs("2000"),
    ],
    needs: Needs { instances: 1, backend: Backend::Memory, settings: &[], has_baseline: true },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let most = run.options.sessions;
    let targets = run.targets();
    let sessions: Vec<_> = targets.iter().map(|_| run.factory.session_ids.take(most)).collect();
    let steps = STEPS.into_iter().filter(|step| *step < most).chain([most]);
    let mut stored = 0;
    for step in steps {
        for (target, sessions) in targets.iter().zip(&sessions) {
            run.factory.make(target, sessions, stored..step).await?;
            run.memory_figure(target, &format!("memory with {step} sessions"));
        }
        stored = step;
        let switched = SWITCHED.min(step);
        let spread: Vec<_> = (0..switched).map(|number| number * step / switched).collect();
        for connections in run.options.connections.clone() {
            let connections = connections.min(switched);
            let load = Load::new(None).beside(format!("{step} stored"));
            let mut benchmarks: Vec<Box<dyn Benchmark>> = baseline(run, connections, &load).into_iter().collect();
            for (target, sessions) in targets.iter().zip(&sessions) {
                let share = |from: usize| spread.iter().skip(from).step_by(connections).copied().collect::<Vec<_>>();
                let workloads = (0..connections).map(|from| Switch::boxed(sessions, &share(from), None));
                benchmarks.push(RequestBenchmark::changes(target, "switch", &load, workloads));
            }
            interleave(run, benchmarks).await?;
        }
    }
    Ok(())
}
