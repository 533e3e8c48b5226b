//! What a Sentinel says of a master: where it is, when it is asked, and that another is the one, unasked. Does not
//! know other Sentinels.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::client::Client;
use super::commands::Commands;
use super::exchange::Exchange;
use super::link::LinkError;
use super::nodes::Told;
use super::reply::Reply;
use super::table::{Node, Table};

/// What is published when a replica has become a master, and when a Sentinel has heard so from another.
const CHANNELS: [&str; 2] = ["+promoted-slave", "+switch-master"];
/// How soon a Sentinel is listened to again.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// Asks a Sentinel where the master of a name is. While it puts another in its place, the address among the fields
/// of a master is the old one's still, beside the new epoch; so the address is asked for by itself, and last, so
/// that it is never older than the epoch.
pub(super) async fn ask(exchange: &mut Exchange, master: &str) -> Result<Told, LinkError> {
    let mut commands = Commands::new();
    commands.cmd("SENTINEL").arg("MASTER").arg(master);
    commands.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let replies = exchange.ask(&commands).await?;
    if let Some(why) = replies.iter().find_map(Reply::refusal) {
        return Err(LinkError::Refused(format!("a Sentinel does not know the master {master:?}: {why}")));
    }
    let [fields, address] = &replies[..] else { return Err(LinkError::Lost("a reply is missing".to_owned())) };
    let epoch = fields.list().chunks(2).find_map(|field| match field {
        [name, epoch] if name.text() == Some("config-epoch") => epoch.number(),
        _ => None,
    });
    let node = match address.list() {
        [host, port] => host.text().zip(port.number()).map(|(host, port)| Node { host: host.to_owned(), port }),
        _ => None,
    };
    match (epoch, node) {
        (Some(epoch), Some(node)) => Ok(Told { epoch, table: Table::whole(node) }),
        _ => Err(LinkError::Refused(format!("a Sentinel does not say since when {master:?} is where it is"))),
    }
}

/// Tells whenever a Sentinel announces another master, of whichever name; runs until it is dropped. Nobody depends
/// on it: what it misses is found out by asking, a little later.
pub(super) async fn listen(client: Client, tell: mpsc::Sender<()>) {
    loop {
        let _ = hear(&client, &tell).await;
        tokio::time::sleep(LISTEN_PAUSE).await;
    }
}

async fn hear(client: &Client, tell: &mpsc::Sender<()>) -> Result<(), LinkError> {
    let mut pubsub = client.subscribe().await?;
    pubsub.subscribe(&CHANNELS).await?;
    let mut announcements = pubsub.into_on_message();
    while announcements.next().await.is_some() {
        // Who has not asked yet since the last time will.
        let _ = tell.try_send(());
    }
    Ok(())
}
