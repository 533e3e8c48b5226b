//! A client that watches a session to its end and records what it receives.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use test_support::instant;
use test_support::ws::Client;

/// Watches until it is dropped.
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

/// What a client was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Epoch and version of every state, in order.
    pub(super) tags: Vec<(u64, u64)>,
    /// How often it was told that a clock ran out.
    pub(super) expired: u32,
    /// How late it was told so, by the authority's time.
    pub(super) late_ms: Vec<u64>,
    /// Every message as it was written.
    pub(super) messages: Vec<String>,
}

impl Watcher {
    pub(super) async fn join(address: SocketAddr, id: &str) -> Self {
        let mut client = Client::join(address, id).await;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let taken = Arc::clone(&seen);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(Ok(message)) = client.stream.next().await {
                if let Message::Text(text) = message {
                    taken.lock().take(text.as_str());
                }
            }
        });
        Self { seen, _task: task }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    /// The newest version that was seen.
    pub(super) fn version(&self) -> Option<u64> {
        self.seen.lock().tags.last().map(|(_, version)| *version)
    }

    /// What must hold of all that was seen.
    pub(super) fn check(&self) {
        let tags = self.seen().tags;
        assert!(tags.is_sorted_by(|earlier, later| earlier < later), "versions only grow: {tags:?}");
    }
}

impl Seen {
    fn take(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).expect("messages are JSON");
        if message["type"] == "TIME_EXPIRED" {
            self.expired += 1;
            let told = message["timestamp"].as_u64().expect("a time");
            self.late_ms.push(told.saturating_sub(instant::ms(&message["expired_at"])));
        }
        if let (Some(epoch), Some(version)) = (message["state"]["epoch"].as_u64(), message["state"]["version"].as_u64())
        {
            self.tags.push((epoch, version));
        }
        self.messages.push(text.to_owned());
    }
}
