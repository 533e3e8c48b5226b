//! Replicas of a Redis server. Does not know who fails over to them.

use crate::redis::Redis;
use crate::wait;

/// Starts a replica that has all that its master has.
pub async fn replica_of(master: &Redis) -> Redis {
    let follows = format!("127.0.0.1 {}", master.port());
    let options = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--replicaof", &follows];
    let replica = Redis::start_with(&options);
    follows_well(&replica).await;
    wait::until("the master knows that it does", async || {
        let mut commands = redis::pipe();
        commands.cmd("SETEX").arg("something").arg(1).arg("").ignore();
        commands.cmd("WAIT").arg(1).arg(100);
        let (heard,): (u64,) = commands.query(&mut master.connect()).expect("it answers");
        heard > 0
    })
    .await;
    replica
}

/// Waits until a replica is connected to its master.
pub async fn follows_well(replica: &Redis) {
    wait::until("the replica follows", async || {
        let info: String = redis::cmd("INFO").arg("replication").query(&mut replica.connect()).expect("it answers");
        info.contains("master_link_status:up")
    })
    .await;
}
