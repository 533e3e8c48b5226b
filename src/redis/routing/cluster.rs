//! The view that one node of a Cluster has of the topology (`CLUSTER SLOTS`). Does not know other nodes.

use crate::redis::endpoints::endpoint::RedisEndpoint;
use crate::redis::endpoints::node::Node;
use crate::redis::error::{Misconfigured, RedisError};
use crate::redis::info;
use crate::redis::protocol::pipeline::Pipeline;
use crate::redis::protocol::resp::Value;
use crate::redis::protocol::transport::Transport;

use super::slot_map::{SlotMap, TopologyView};

/// Asks the node behind `endpoint` for its view.
pub(in crate::redis) async fn ask(
    transport: &mut Transport,
    endpoint: &RedisEndpoint,
) -> Result<TopologyView, RedisError> {
    let mut commands = Pipeline::new();
    commands.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
    let replies = transport.ask(&commands).await?;
    match replies.iter().find_map(Value::error) {
        Some(why) if why.contains("cluster support disabled") => {
            let why = info::misplaced("standalone", true).unwrap_or_default();
            return Err(RedisError::Misconfigured(Misconfigured {
                why: format!("the server at {endpoint} {why}"),
                is_lasting: true,
            }));
        }
        Some(why) => return Err(RedisError::Server(format!("{why} ({endpoint})"))),
        None => {}
    }
    let [Value::Text(_), Value::List(slots)] = &replies[..] else {
        return Err(RedisError::Server(format!("{endpoint} does not say who answers for which slots")));
    };
    let info = replies[0].text().unwrap_or_default();
    let epoch = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:")?.trim().parse().ok());
    let ranges = slots.iter().filter_map(|range| {
        let [first, last, master, ..] = range.list() else { return None };
        Some((first.number()?..=last.number()?, node(master, endpoint.host()?)?))
    });
    Ok(TopologyView { epoch: epoch.unwrap_or_default(), slots: SlotMap(ranges.collect()) })
}

/// The slot and the node of a MOVED or ASK redirection (`3999 127.0.0.1:6381`); a node without a name is the one that
/// replied, at another port.
pub(in crate::redis) fn redirection(details: &str, host: Option<&str>) -> Option<(u16, Node)> {
    let (slot, address) = details.split_once(' ')?;
    let (name, port) = address.trim().rsplit_once(':')?;
    let host = if name.is_empty() { host? } else { name.trim_matches(['[', ']']) };
    Some((slot.parse().ok()?, Node { host: host.to_owned(), port: port.parse().ok()? }))
}

/// A node that does not know its own name is where it was reached.
fn node(master: &Value, reached: &str) -> Option<Node> {
    let [name, port, ..] = master.list() else { return None };
    let host = name.text().filter(|name| !name.is_empty() && *name != "?").unwrap_or(reached);
    Some(Node { host: host.to_owned(), port: port.number()? })
}

#[cfg(test)]
mod tests {
    use super::Node;
    use super::redirection;

    #[test]
    fn a_redirection_names_a_slot_and_a_server() {
        let node = |host: &str| Node { host: host.to_owned(), port: 6_381 };
        assert_eq!(redirection("3999 127.0.0.1:6381", None), Some((3_999, node("127.0.0.1"))));
        assert_eq!(redirection("3999 ::1:6381", None), Some((3_999, node("::1"))));
        assert_eq!(redirection("3999 :6381", Some("h")), Some((3_999, node("h"))));
        assert_eq!(redirection("3999", Some("h")), None);
    }
}
