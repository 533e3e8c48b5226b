//! Data directories that servers of earlier versions left.

use std::sync::Arc;
use std::time::Duration;

use synckairos::clock::Clock;
use synckairos::engine::{Command, SessionId, Timestamp, Uuid};
use synckairos::sessions::{Rates, Sessions};
use synckairos::store::file::DataDir;
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::{Listener, Metrics, Room, Store, Update};

use crate::support::directory::Directory;

struct Nobody;

impl Listener for Nobody {
    fn update(&self, _: SessionId, _: &Update) {}
}

/// 2026-11-28, when the directory was left.
const LEFT: Timestamp = Timestamp::from_ms(1_795_881_300_000);

fn id(n: u128) -> SessionId {
    SessionId(Uuid::from_bits(0x4000_8000_0000_0000_0000 | n))
}

#[tokio::test]
async fn what_2_0_0_left_is_read_and_goes_on() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("there is room");
    std::fs::copy("tests/fixtures/file/version_2_0_0/synckairos.redb", directory.path().join("synckairos.redb"))
        .expect("there is room");
    let (clock, metrics) = (Clock::manual(LEFT), Metrics::default());
    let data = DataDir::open(directory.path(), clock.clone(), Duration::from_secs(5), metrics.clone());
    let data = data.expect("it can be opened");
    let memory = Memory::open(clock, Limit::default(), Arc::new(Nobody), metrics, &data).expect("it can be read");
    let sessions = Sessions::new(Arc::new(memory.clone()), Rates::default());
    for (n, version) in [(1, 4), (2, 3)] {
        let seen = sessions.read(id(n)).await.expect("it is there");
        assert_eq!(seen.snapshot.tag.version, version);
        let session = seen.snapshot.session().expect("it can be read");
        assert_eq!(session.metadata.as_deref(), Some(r#"{"table":7,"é":[1.5,null]}"#));
        let resumed = sessions.change(id(n), sessions.arrive(id(n)), Command::Resume.into()).await;
        let record = resumed.result.expect("it can go on").record.expect("it is there");
        assert_eq!(record.session().version, version + 1);
        let room = Room { changes: 100, bytes: 1 << 20 };
        let found = data.archive().changes(id(n), None, room).await.expect("its history can be read");
        assert_eq!(found.changes.len() as u64, version + 1);
    }
    assert!(memory.read(id(3)).await.expect("it answers").is_buried);
    assert!(data.close().await);
}
