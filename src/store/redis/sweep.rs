//! The sweep: finds deadlines that are overdue although their instance should have fired them, because it
//! died. Does not know how they are fired.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{SessionId, Timestamp, Uuid};
use crate::redis::{Commands, LinkError, Reply};
use crate::store::metrics::{Operation, Role};

use super::line::Line;
use super::{Shared, jitter};

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often to look for a server that does not answer.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// How long a deadline must be overdue, at least and at most: the instance that set it fires it at once.
const OVERDUE_US: (u64, u64) = (50_000, 150_000);
/// Overdue sessions of a partition that are taken up at once.
const FOUND_MAX: usize = 1_024;

/// Hands what it finds to the timers; runs until it is dropped, or is of no use.
pub(super) async fn sweep(shared: &Arc<Shared>) {
    let mut line = Line::new(Role::Sweep);
    loop {
        let looked = look(shared, &mut line).await;
        shared.looked(&looked);
        let pause = match looked {
            Ok(()) => INTERVAL,
            Err(_) if shared.is_misled() => return,
            Err(error) => {
                shared.failed(&error);
                line.lose();
                RETRY_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn look(shared: &Arc<Shared>, line: &mut Line) -> Result<(), LinkError> {
    let overdue = jitter::between_us(OVERDUE_US.0, OVERDUE_US.1).as_millis() as u64;
    let until_ms = shared.estimate().as_ms().saturating_sub(overdue);
    let mut commands = Commands::new();
    for partition in shared.keyspace.all() {
        let key = shared.keyspace.deadlines(partition);
        commands.cmd("ZRANGE").arg(key).arg("-inf").arg(until_ms).arg("BYSCORE");
        commands.arg("LIMIT").arg(0).arg(FOUND_MAX).arg("WITHSCORES");
    }
    for reply in line.ask(shared, Operation::Sweep, &commands).await?.replies {
        let Reply::List(found) = reply else { return Err(LinkError::Refused(format!("{reply:?}"))) };
        for pair in found.chunks(2) {
            if let [name, score] = pair
                && let Some(id) = name.text().and_then(Uuid::parse).map(SessionId)
                && let Some(deadline) = score.number()
            {
                shared.timers.found(id, Timestamp::from_ms(deadline));
            }
        }
    }
    Ok(())
}
