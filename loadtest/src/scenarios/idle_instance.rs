//! The cost of an idle instance while another instance on the same Redis is busy.

use std::sync::Arc;
use std::time::Duration;

use crate::generator::failure::{Failure, Result};
use crate::generator::switches::Switch;
use crate::interleave::{Benchmark, Load, RequestBenchmark, interleave_rounds};
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;
use crate::servers::target::Target;

/// How long both do nothing first.
const REST: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "idle-instance",
    about: "What an instance costs that serves nobody, beside one with 20,000 switches a second",
    details: "\
Two instances share a Redis. First both rest; then all requests go to the first (open loop). The processor time of the second is told \
for both, as a share of one core: it should not depend on what others serve. With --audit both write what is queued, by design, so \
that figure is another one.",
    parameters: &[
        Parameter::Sessions("1000"),
        Parameter::Rate("20000"),
        Parameter::DurationS("10"),
        Parameter::SliceMs("2000"),
    ],
    needs: Needs { instances: 2, backend: Backend::Redis, settings: &[], has_baseline: false },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    for target in run.targets() {
        let [busy, idle] = target.instances[..] else {
            return Err(Failure::broken("two instances are needed, started by this program"));
        };
        let first = Arc::new(Target {
            instances: vec![busy],
            helpers: target.helpers.clone(),
            ..Target::at(&target.name, vec![target.first()])
        });
        let sessions = run.factory.sessions(&first, run.options.sessions).await?;
        run.progress.set_phase("both rest", None);
        let before = idle.cpu_s()?;
        tokio::time::sleep(REST).await;
        let resting = (idle.cpu_s()? - before) / REST.as_secs_f64() * 100.0;
        run.report.figure("an instance that rests, while all rest", resting, "% of a core");

        let shares = sessions.shares(CONNECTIONS.min(sessions.len()));
        let workloads = shares.iter().map(|indexes| Switch::boxed(&sessions, indexes, None));
        let load = Load::new(run.options.rate);
        let benchmark: Box<dyn Benchmark> = RequestBenchmark::changes(&first, "switch at the other", &load, workloads);
        let (before, start) = (idle.cpu_s()?, std::time::Instant::now());
        let rounds = run.options.rounds();
        interleave_rounds(run, vec![benchmark], rounds, false).await?;
        let beside = (idle.cpu_s()? - before) / start.elapsed().as_secs_f64() * 100.0;
        let done = run.report.rows.last().map_or(0.0, |row| row.rate().median);
        run.report.figure(format!("an instance that rests, beside {done:.0} switches/s"), beside, "% of a core");
    }
    Ok(())
}
