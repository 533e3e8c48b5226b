//! What a server of a Cluster says of who answers for which slots (`CLUSTER SLOTS`). Does not know other servers.

use super::client::Client;
use super::commands::Commands;
use super::exchange::Exchange;
use super::fitness;
use super::link::{LinkError, Unfit};
use super::nodes::Told;
use super::reply::Reply;
use super::table::{Node, Table};

/// Asks a server that was reached as `client`.
pub(super) async fn ask(exchange: &mut Exchange, client: &Client) -> Result<Told, LinkError> {
    let mut commands = Commands::new();
    commands.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
    let replies = exchange.ask(&commands).await?;
    match replies.iter().find_map(Reply::refusal) {
        Some(why) if why.contains("cluster support disabled") => {
            let why = fitness::misplaced("standalone", true).unwrap_or_default();
            return Err(LinkError::Unfit(Unfit { why: format!("the server at {client} {why}"), is_lasting: true }));
        }
        Some(why) => return Err(LinkError::Refused(format!("{why} ({client})"))),
        None => {}
    }
    let [Reply::Text(_), Reply::List(slots)] = &replies[..] else {
        return Err(LinkError::Refused(format!("{client} does not say who answers for which slots")));
    };
    let info = replies[0].text().unwrap_or_default();
    let epoch = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:")?.trim().parse().ok());
    let ranges = slots.iter().filter_map(|range| {
        let [first, last, master, ..] = range.list() else { return None };
        Some((first.number()?..=last.number()?, node(master, client.host()?)?))
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

/// A server that does not know its own name is where it was reached.
fn node(master: &Reply, reached: &str) -> Option<Node> {
    let [name, port, ..] = master.list() else { return None };
    let host = name.text().filter(|name| !name.is_empty() && *name != "?").unwrap_or(reached);
    Some(Node { host: host.to_owned(), port: port.number()? })
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
