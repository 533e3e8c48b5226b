//! What a server of a Cluster says of who answers for which slots (`CLUSTER SLOTS`). Does not know other servers.

use redis::Value;
use redis::aio::MultiplexedConnection;

use super::client::Client;
use super::fitness;
use super::link::{LinkError, Unfit};
use super::nodes::Told;
use super::table::{Node, Table};

/// Asks a server that was reached as `client`.
pub(super) async fn ask(connection: &mut MultiplexedConnection, client: &Client) -> Result<Told, LinkError> {
    let mut commands = redis::pipe();
    commands.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
    let asked = commands.query_async(connection).await.map_err(LinkError::from);
    let (info, slots): (String, Vec<Vec<Value>>) = asked.map_err(|error| match error {
        LinkError::Refused(why) if why.contains("cluster support disabled") => {
            let why = fitness::misplaced("standalone", true).unwrap_or_default();
            LinkError::Unfit(Unfit { why: format!("the server at {client} {why}"), is_lasting: true })
        }
        other @ (LinkError::Lost(_) | LinkError::Refused(_) | LinkError::Unfit(_)) => other,
        other @ (LinkError::Elsewhere(_) | LinkError::NotNow(_)) => other,
    })?;
    let epoch = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:")?.trim().parse().ok());
    let ranges = slots.iter().filter_map(|range| {
        let [first, last, master, ..] = &range[..] else { return None };
        Some((number(first)?..=number(last)?, node(master, client.host()?)?))
    });
    Ok(Told { epoch: epoch.unwrap_or_default(), table: Table(ranges.collect()) })
}

/// Where a MOVED or ASK sends to (`3999 127.0.0.1:6381`): the slot and the server; one without a name is that which
/// says so, at another port.
pub(super) fn redirection(details: &str, host: Option<&str>) -> Option<(u16, Node)> {
    let (slot, address) = details.split_once(' ')?;
    let (name, port) = address.trim().rsplit_once(':')?;
    let host = if name.is_empty() { host? } else { name.trim_matches(['[', ']']) };
    Some((slot.parse().ok()?, Node { host: host.to_owned(), port: port.parse().ok()? }))
}

fn number(value: &Value) -> Option<u16> {
    redis::from_redis_value_ref(value).ok()
}

/// A server that does not know its own name is where it was reached.
fn node(value: &Value, reached: &str) -> Option<Node> {
    let Value::Array(parts) = value else { return None };
    let name: Option<String> = redis::from_redis_value_ref(parts.first()?).ok()?;
    let host = name.filter(|name| !name.is_empty() && name != "?").unwrap_or_else(|| reached.to_owned());
    Some(Node { host, port: number(parts.get(1)?)? })
}

#[cfg(test)]
mod tests {
    use super::{Node, redirection};

    #[test]
    fn a_redirection_names_a_slot_and_a_server() {
        let node = |host: &str| Node { host: host.to_owned(), port: 6_381 };
        assert_eq!(redirection("3999 127.0.0.1:6381", None), Some((3_999, node("127.0.0.1"))));
        assert_eq!(redirection("3999 ::1:6381", None), Some((3_999, node("::1"))));
        assert_eq!(redirection("3999 :6381", Some("h")), Some((3_999, node("h"))));
        assert_eq!(redirection("3999", Some("h")), None);
    }
}
