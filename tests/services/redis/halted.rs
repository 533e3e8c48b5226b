//! A Cluster with one halted master: sessions of other partitions go by their own clocks.

use serde_json::{Value, json};
use tokio::task::block_in_place;

use test_support::cluster::Cluster;
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::cluster::{PARTITIONS, slot};
use super::instance_with;
use super::watcher::Watcher;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_master_stops_no_clock_but_its_own() {
    let options = ["--save", "", "--appendonly", "no", "--cluster-require-full-coverage", "no"];
    let cluster = block_in_place(|| Cluster::start_with(3, 0, &options));
    let instance = instance_with(&cluster.url(), &[("PARTITIONS", &PARTITIONS.to_string())]).await;
    let mut client = instance.connect().await;
    for halted in 0..3 {
        // One session on each of the others, whichever master keeps the first partition.
        let first = 100 * halted as u64;
        let on =
            |master: usize| (first..first + 100).find(|n| cluster.owner(slot(*n)) == master).expect("there is one");
        let others: Vec<_> = (0..3).filter(|master| *master != halted).map(on).collect();
        let (own, mut watchers) = (on(halted), Vec::new());
        for n in &others {
            let mut body = two_players(&id(*n), 2_000);
            body["warn_at_ms"] = json!([1_000]);
            client.create(&body).await;
            watchers.push(Watcher::join(instance.address(), &id(*n)).await);
        }
        let mut asker = Client::join(instance.address(), &id(others[0])).await;
        cluster.nodes[halted].signal("STOP");
        for n in &others {
            client.post(&id(*n), "start", &Value::Null).await;
        }
        assert_eq!(client.ask("GET", "/v1/time", "").await.status, 200);
        asker.say(json!({"type": "PING", "timestamp": 1})).await;
        assert!(asker.next_of("PONG").await["timestamp"].is_u64());
        let refused = asker.order(json!({"type": "RESUME", "request_id": "a"})).await;
        assert_eq!(refused["status"], 400, "{refused}");
        for watcher in &watchers {
            wait::until("its client is warned", async || {
                watcher.seen().messages.iter().any(|message| message.contains("TIME_WARNING"))
            })
            .await;
            wait::until("and told when it is over", async || watcher.seen().expired == 1).await;
        }
        cluster.nodes[halted].signal("CONT");
        wait::until("it is there again", async || {
            client.ask("GET", &format!("/v1/sessions/{}", id(own)), "").await.status == 404
        })
        .await;
    }
}
