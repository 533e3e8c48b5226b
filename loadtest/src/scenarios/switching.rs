//! Switches that follow each other as fast as they can, on one session and on some.

use crate::generator::failure::{Failure, Result};
use crate::generator::switches::{SwitchOverSocket, SwitchTogether};
use crate::options::Knob;
use crate::run::Run;
use crate::servers::Needs;
use crate::turns::{Lane, Load, Requests, floor, in_turns};

use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "switching",
    about: "Switches as fast as it can: one session over a WebSocket, many, and one by many clients at once",
    details: "\
One client switches one session over its WebSocket, waiting for each result; then as many clients as there are connections, \
each a session of its own; then all of them the same session over HTTP. Updates must come beside the results; of a session that \
many switch, each version must be the answer to exactly one of them, and none may be missing.",
    knobs: &[Knob::Connections("64"), Knob::Rate(""), Knob::DurationS("10"), Knob::SliceMs("2000")],
    needs: Needs::DEFAULT,
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let load = Load::new(run.options.rate);
    for connections in run.options.connections.clone() {
        let mut lanes: Vec<Box<dyn Lane>> = floor(run, 1, &load).into_iter().collect();
        lanes.extend(floor(run, connections, &load).filter(|_| connections > 1));
        let mut shared = Vec::new();
        for target in run.targets() {
            let sessions = run.maker.sessions(&target, connections + 2).await?;
            let alone = SwitchOverSocket::boxed(&sessions, connections);
            lanes.push(Requests::changes(&target, "one session over its WebSocket", &load, [alone]));
            let each = (0..connections).map(|place| SwitchOverSocket::boxed(&sessions, place));
            lanes.push(Requests::changes(&target, "a session for each, over WebSockets", &load, each));
            let id = sessions.id(connections + 1);
            let (together, given) = SwitchTogether::boxed(&id, connections);
            lanes.push(Requests::changes(&target, "one session for all, over HTTP", &load, together));
            shared.push((id, given));
        }
        in_turns(run, lanes).await?;
        for (id, given) in shared {
            if !given.lock().is_whole() {
                return Err(Failure::Wrong(format!("{id}: a version was the answer to nobody")));
            }
        }
    }
    Ok(())
}
