//! A server in a simulation whose connections are cut: what it acknowledges, it has done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Faults, RedisHost};
use crate::redis::FakeRedis;
use crate::scheduler::Scheduler;
use crate::stream::Latency;

const MS: Duration = Duration::from_millis(1);
const LATENCY: Latency = Latency { least: MS, most: Duration::from_millis(2) };

/// What clients hear of ten increments each, however often their connections are cut, and what is counted then.
fn increments(seed: u64, faults: Faults) -> (u64, u64) {
    let scheduler = Scheduler::new(seed);
    let host = RedisHost::new(&scheduler, FakeRedis::new("run"), LATENCY, 1_000_000);
    host.set_faults(faults);
    let acknowledged = Arc::new(Mutex::new(0));
    for _ in 0..3 {
        let (host, acknowledged, own) = (host.clone(), Arc::clone(&acknowledged), scheduler.clone());
        scheduler.process().spawn(async move {
            let mut stream = host.connect().expect("it is up");
            for _ in 0..10 {
                let mut reply = [0; 16];
                let asked = stream.write_all(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n").await;
                match if asked.is_ok() { stream.read(&mut reply).await } else { Ok(0) } {
                    Ok(1..) => *acknowledged.lock().expect("nobody panics") += 1,
                    Ok(0) | Err(_) => stream = host.connect().expect("it is up"),
                }
                own.sleep(MS).await;
            }
        });
    }
    scheduler.run_for(Duration::from_secs(60));
    let (mut redis, acknowledged) = (host.snapshot(), *acknowledged.lock().expect("nobody panics"));
    let words = [b"INCR".to_vec(), b"n".to_vec()];
    let counted = redis.ask(2_000_000, crate::redis::ClientId(99), &words);
    let crate::redis::Reply::Int(counted) = counted[0].reply else { panic!("{counted:?}") };
    (acknowledged, u64::try_from(counted - 1).expect("it counts up"))
}

#[test]
fn what_is_acknowledged_is_done_and_what_is_cut_off_may_be() {
    assert_eq!(increments(1, Faults::default()), (30, 30));
    let mut in_doubt = 0;
    for seed in 0..200 {
        let faults = Faults { cut_before: Some(9), cut_after: Some(7), stall: Some(5) };
        let (acknowledged, counted) = increments(seed, faults);
        assert!(acknowledged <= counted && counted <= 30, "seed {seed}: {acknowledged} of {counted}");
        assert_eq!(increments(seed, faults), (acknowledged, counted), "seed {seed} repeats");
        in_doubt += counted - acknowledged;
    }
    assert!(in_doubt > 0, "some were carried out whose replies were lost");
}
