//! What a Sentinel says of a master (`SENTINEL MASTER`). Does not know other Sentinels.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;

use super::link::LinkError;
use super::nodes::Told;
use super::table::{Node, Table};

/// Asks a Sentinel where the master of a name is.
pub(super) async fn ask(connection: &mut MultiplexedConnection, master: &str) -> Result<Told, LinkError> {
    let asked = redis::cmd("SENTINEL").arg("MASTER").arg(master).query_async(connection).await;
    let mut fields: HashMap<String, String> = asked
        .map_err(|error| LinkError::Refused(format!("a Sentinel does not know the master {master:?}: {error}")))?;
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<u64>().ok());
    let (port, epoch) = (number(fields.get("port")), number(fields.get("config-epoch")));
    match (fields.remove("ip"), port.and_then(|port| u16::try_from(port).ok()), epoch) {
        (Some(host), Some(port), Some(epoch)) => Ok(Told { epoch, table: Table::whole(Node { host, port }) }),
        _ => Err(LinkError::Refused(format!("a Sentinel does not say where the master {master:?} is"))),
    }
}
