//! What a Sentinel says of a master: where it is, when it is asked, and that another is the one, unasked. Does not
//! know other Sentinels.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use super::client::Client;
use super::link::LinkError;
use super::nodes::Told;
use super::table::{Node, Table};

/// What is published when a replica has become a master, and when a Sentinel has heard so from another.
const CHANNELS: [&str; 2] = ["+promoted-slave", "+switch-master"];
/// How soon a Sentinel is listened to again.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// Asks a Sentinel where the master of a name is. While it puts another in its place, the address among the fields
/// of a master is the old one's still, beside the new epoch; so the address is asked for by itself, and last, so
/// that it is never older than the epoch.
pub(super) async fn ask(connection: &mut MultiplexedConnection, master: &str) -> Result<Told, LinkError> {
    let mut commands = redis::pipe();
    commands.cmd("SENTINEL").arg("MASTER").arg(master);
    commands.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let asked: RedisResult<(HashMap<String, String>, (String, u16))> = commands.query_async(connection).await;
    let (fields, (host, port)) = asked.map_err(|error| match LinkError::from(error) {
        LinkError::Refused(why) => LinkError::Refused(format!("a Sentinel does not know the master {master:?}: {why}")),
        other @ (LinkError::Lost(_) | LinkError::Unfit(_) | LinkError::Elsewhere(_) | LinkError::NotNow(_)) => other,
    })?;
    match fields.get("config-epoch").and_then(|epoch| epoch.parse().ok()) {
        Some(epoch) => Ok(Told { epoch, table: Table::whole(Node { host, port }) }),
        None => Err(LinkError::Refused(format!("a Sentinel does not say since when {master:?} is where it is"))),
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
