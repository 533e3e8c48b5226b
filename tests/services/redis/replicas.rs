//! Changes that replicas must have before they are acknowledged (REDIS_REPLICAS_MIN).

use serde_json::Value;

use test_support::proxy::Proxy;
use test_support::redis::Redis;
use test_support::replicas::{follows_well, replica_of};
use test_support::sessions::id;
use test_support::wait;

use super::watcher::Watcher;
use super::{HOUR, instance_with, start, switch, version};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_too_few_replicas_have() {
    let master = Redis::start();
    let mut replica = replica_of(&master).await;
    let server = instance_with(&master.url(), &[("REDIS_REPLICAS_MIN", "1")]).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    start(&mut client, 2, 2_000).await;
    let watcher = Watcher::join(server.address(), &id(2)).await;
    assert_eq!(version(&switch(&mut client, 1).await), 3);
    replica.kill();
    for made in 4..=5 {
        let answer = switch(&mut client, 1).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "UNKNOWN_OUTCOME"), "{answer:?}");
        assert_eq!(client.read(&id(1)).await["version"], made, "it is made, and made once");
    }
    let refused = client.ask("POST", &format!("/v1/sessions/{}/resume", id(1)), "").await;
    assert_eq!(refused.status, 400, "what changes nothing needs nobody: {refused:?}");
    wait::until("a deadline is fired all the same", async || watcher.seen().expired == 1).await;
    replica.restart();
    follows_well(&replica).await;
    wait::until("changes are acknowledged again", async || switch(&mut client, 1).await.status == 200).await;
    let (newest, known) = (client.read(&id(1)).await, &id(1));
    let kept: Vec<u8> =
        redis::cmd("GET").arg(format!("session:{known}")).query(&mut replica.connect()).expect("it answers");
    let kept: Value = serde_json::from_slice(&kept).expect("a state is JSON");
    assert_eq!(kept["version"], newest["version"], "the replica has it");
    assert_eq!((watcher.version(), watcher.seen().expired), (Some(3), 1), "and it was fired once");
}

/// That a change is found to be made says nothing of the replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_reply_is_lost_stays_unknown() {
    let master = Redis::start();
    let _replica = replica_of(&master).await;
    let proxy = Proxy::start(master.port()).await;
    let server = instance_with(&proxy.url(), &[("REDIS_REPLICAS_MIN", "1")]).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    proxy.cut_at_exec(1);
    let answer = switch(&mut client, 1).await;
    assert_eq!(proxy.cuts_done(), 1);
    assert_eq!((answer.status, answer.code().as_str()), (503, "UNKNOWN_OUTCOME"), "{answer:?}");
    let next = switch(&mut client, 1).await;
    assert_eq!((next.status, version(&next)), (200, 4), "it was made once");
}
