//! The cost of idle WebSockets: memory of each, and processor time of all.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::generator::failure::{Failure, Result};
use crate::generator::socket::Socket;
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;

/// Some heartbeats long, so that a client that does not answer them is dropped.
const HELD: Duration = Duration::from_secs(12);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "idle-sockets",
    about: "10,000 WebSockets that do nothing, and what one of them takes in memory",
    details: "\
Each watches a session of its own that is never created, and answers heartbeats. Nothing must be sent to them, and none may be \
dropped, for two heartbeats. Memory is that of the server's process; its processor time is told as a share of one core.",
    parameters: &[Parameter::Clients("10000")],
    needs: Needs { instances: 1, backend: Backend::Memory, settings: &[], has_baseline: false },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    let count = run.options.clients;
    run.expect_files(count)?;
    for target in run.targets() {
        let before = target.memory();
        run.memory_figure(&target, "memory without clients");
        run.progress.set_phase(format!("opening {count} WebSockets {}", target.name), None);
        let mut clients = JoinSet::new();
        for number in 0..count {
            let address = target.addresses[number % target.addresses.len()];
            let mut socket = Socket::open(address, &run.factory.session_ids.next_id()).await?;
            clients.spawn(async move {
                match socket.message().await {
                    Ok(message) => Failure::wrong("nothing happens, and yet something came", message),
                    Err(failure) => failure,
                }
            });
        }
        run.progress.set_phase(format!("holding {count} WebSockets {}", target.name), None);
        let used = target.usage()?;
        tokio::select! {
            () = tokio::time::sleep(HELD) => {}
            Some(ended) = clients.join_next() => return Err(ended.expect("a client does not panic")),
        }
        let used = target.usage()?.since(&used);
        run.memory_figure(&target, &format!("memory with {count} clients"));
        if let (Some(before), Some(after)) = (before, target.memory()) {
            let each = after.saturating_sub(before) as f64 / 1e3 / count as f64;
            run.report.figure(format!("{}: memory of a client", target.name), each, "KB");
        }
        if let Some(used_s) = used.server_s {
            let share = used_s / HELD.as_secs_f64() * 100.0;
            run.report.figure(format!("{}: processor while they do nothing", target.name), share, "% of a core");
        }
    }
    Ok(())
}
