//! The view that one Sentinel has of a master: its address, when asked, and failovers, as they are announced. Does not
//! know other Sentinels.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::redis::endpoints::endpoint::RedisEndpoint;
use crate::redis::endpoints::node::Node;
use crate::redis::error::RedisError;
use crate::redis::protocol::pipeline::Pipeline;
use crate::redis::protocol::resp::Value;
use crate::redis::protocol::transport::Transport;
use crate::runtime::time;

use super::slot_map::{SlotMap, TopologyView};

/// What is published when a replica has become a master, and when a Sentinel has heard so from another.
const CHANNELS: [&str; 2] = ["+promoted-slave", "+switch-master"];
/// The pause before a Sentinel is listened to again.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// Asks a Sentinel for the address of a master. During a failover the fields of the master hold the new epoch beside
/// the old address; so the address is asked for by itself, and last, so that it is never older than the epoch.
pub(in crate::redis) async fn ask(transport: &mut Transport, master: &str) -> Result<TopologyView, RedisError> {
    let mut commands = Pipeline::new();
    commands.cmd("SENTINEL").arg("MASTER").arg(master);
    commands.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let replies = transport.ask(&commands).await?;
    if let Some(why) = replies.iter().find_map(Value::error) {
        return Err(RedisError::Server(format!("a Sentinel does not know the master {master:?}: {why}")));
    }
    let [fields, address] = &replies[..] else { return Err(RedisError::Io("a reply is missing".to_owned())) };
    let epoch = fields.list().chunks(2).find_map(|field| match field {
        [name, epoch] if name.text() == Some("config-epoch") => epoch.number(),
        _ => None,
    });
    let node = match address.list() {
        [host, port] => host.text().zip(port.number()).map(|(host, port)| Node { host: host.to_owned(), port }),
        _ => None,
    };
    match (epoch, node) {
        (Some(epoch), Some(node)) => Ok(TopologyView { epoch, slots: SlotMap::single(node) }),
        _ => Err(RedisError::Server(format!("a Sentinel does not say since when {master:?} is where it is"))),
    }
}

/// Reports each failover that a Sentinel announces, of any master; runs until it is dropped. What it misses is found
/// out by polling, a little later.
pub(in crate::redis) async fn listen(sentinel: RedisEndpoint, tell: mpsc::Sender<()>) {
    loop {
        let _ = hear(&sentinel, &tell).await;
        time::sleep(LISTEN_PAUSE).await;
    }
}

async fn hear(sentinel: &RedisEndpoint, tell: &mpsc::Sender<()>) -> Result<(), RedisError> {
    let mut pubsub = sentinel.subscribe().await?;
    pubsub.subscribe(&CHANNELS).await?;
    let mut announcements = pubsub.into_on_message();
    while announcements.next().await.is_some() {
        // A full channel holds an announcement that is still to be acted on.
        let _ = tell.try_send(());
    }
    Ok(())
}
