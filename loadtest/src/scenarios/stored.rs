//! What a switch takes next to few sessions that are stored, and next to many.

use crate::generator::failure::Result;
use crate::generator::switches::Switch;
use crate::options::{Backend, Knob};
use crate::run::Run;
use crate::servers::Needs;
use crate::turns::{Lane, Load, Requests, floor, in_turns};

use super::Scenario;

/// Numbers of sessions, as far as the run is told to go.
const STEPS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Sessions that are switched, spread over all that are stored.
const SWITCHED: usize = 1_000;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stored",
    about: "Switches next to 1,000, 10,000, 100,000 and 1,000,000 stored sessions",
    details: "\
Sessions are created and started, so that each has a deadline, until there are as many as a step says; then 1,000 of them, spread over \
all, are switched, over one connection and over 64, in turns with the floor. The latency should be the same at every step.",
    knobs: &[Knob::Connections("1,64"), Knob::Sessions("1000000"), Knob::DurationS("6"), Knob::SliceMs("2000")],
    needs: Needs { instances: 1, backend: Backend::Memory, settings: &[], has_floor: true },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let most = run.options.sessions;
    let targets = run.targets();
    let sessions: Vec<_> = targets.iter().map(|_| run.maker.numbers.take(most)).collect();
    let steps = STEPS.into_iter().filter(|step| *step < most).chain([most]);
    let mut stored = 0;
    for step in steps {
        for (target, sessions) in targets.iter().zip(&sessions) {
            run.maker.make(target, sessions, stored..step).await?;
            run.memory_figure(target, &format!("memory with {step} sessions"));
        }
        stored = step;
        let switched = SWITCHED.min(step);
        let spread: Vec<_> = (0..switched).map(|number| number * step / switched).collect();
        for connections in run.options.connections.clone() {
            let connections = connections.min(switched);
            let load = Load::new(None).beside(format!("{step} stored"));
            let mut lanes: Vec<Box<dyn Lane>> = floor(run, connections, &load).into_iter().collect();
            for (target, sessions) in targets.iter().zip(&sessions) {
                let share = |from: usize| spread.iter().skip(from).step_by(connections).copied().collect::<Vec<_>>();
                let errands = (0..connections).map(|from| Switch::boxed(sessions, &share(from), None));
                lanes.push(Requests::changes(target, "switch", &load, errands));
            }
            in_turns(run, lanes).await?;
        }
    }
    Ok(())
}
