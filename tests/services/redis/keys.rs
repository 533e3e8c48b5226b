//! Commands that have keys, on several instances: the same command at once is carried out by one of them.

use synckairos::engine::Command;
use synckairos::sessions::{CommandRequest, Sessions};
use synckairos::store::{CommandKey, CommandOrigin};
use tokio::task::JoinSet;

use test_support::redis::Redis;

use super::audited::{id, new_session, sessions};

const SWITCH: Command = Command::Switch { next: None, current: None };

async fn switch(sessions: Sessions, name: u8) -> (u64, bool) {
    let origin = CommandOrigin::new(None, Some(CommandKey::new([name; 12], [0; 4])));
    let reply = sessions.change(id(1), sessions.arrive(id(1)), CommandRequest { origin, ..SWITCH.into() }).await;
    let record = reply.result.expect("a running session can be switched").record.expect("it is there");
    (record.session().version, reply.is_replayed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_commands_that_are_sent_to_several_instances_one_is_carried_out() {
    let redis = Redis::start();
    let instances = [1, 1, 1].map(|partitions| sessions(&redis.url(), partitions));
    let first = &instances[0];
    first.create(first.arrive(id(1)), new_session(1, 3_600_000)).await.expect("the id is free");
    first.change(id(1), first.arrive(id(1)), Command::Start.into()).await.result.expect("it can be started");
    for name in 0..20 {
        let mut sent = JoinSet::new();
        instances.iter().for_each(|instance| {
            sent.spawn(switch(instance.clone(), name));
        });
        let sent = sent.join_all().await;
        assert_eq!(sent.iter().filter(|(_, is_replayed)| !is_replayed).count(), 1, "{sent:?}");
        assert!(sent.iter().all(|(version, _)| *version == 3 + u64::from(name)), "{sent:?}");
    }
}
