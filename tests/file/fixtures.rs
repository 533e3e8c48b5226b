//! Data directories that servers of earlier versions left.

use std::sync::Arc;
use std::time::Duration;

use synckairos::clock::Clock;
use synckairos::engine::{Command, SessionId, Timestamp, Uuid};
use synckairos::sessions::Sessions;
use synckairos::store::file::DataDir;
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::{Listener, Metrics, PageLimit, SessionStore, Update};

use test_support::directory::Directory;
use test_support::program::{command, output};

struct Nobody;

impl Listener for Nobody {
    fn update(&self, _: SessionId, _: &Update) {}
}

/// 2026-11-28, when the directory was left.
const LEFT: Timestamp = Timestamp::from_ms(1_795_881_300_000);

fn id(n: u128) -> SessionId {
    SessionId(Uuid::from_bits(0x4000_8000_0000_0000_0000 | n))
}

/// Each of the two places that say in which format the rest of the file is.
const FORMATS: [usize; 2] = [64, 192];

#[tokio::test]
async fn a_file_of_a_newer_format_is_refused_in_words_and_left_alone() {
    let directory = Directory::new();
    let path = directory.path().join("synckairos.redb");
    std::fs::create_dir_all(directory.path()).expect("there is room");
    let known = std::fs::read("tests/fixtures/file/version_2_0_0/synckairos.redb").expect("it is there");
    for format in [4, 9, 255] {
        let mut newer = known.clone();
        FORMATS.iter().for_each(|place| newer[*place] = format);
        std::fs::write(&path, &newer).expect("there is room");
        let output = output(command().env("PORT", "0").env("DATA_DIR", directory.path()));
        let said = String::from_utf8(output.stderr).expect("it writes text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        let line: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("not one line: {said}"));
        let why = "synckairos.redb: a newer version wrote it, whose format is not known here: ";
        assert!(line["error"].as_str().is_some_and(|error| error.contains(why)), "{said}");
        assert_eq!(std::fs::read(&path).expect("it is there"), newer, "it is as it was");
    }
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
    let sessions = Sessions::new(Arc::new(memory.clone()));
    for (n, version) in [(1, 4), (2, 3)] {
        let seen = sessions.read(id(n)).await.expect("it is there");
        assert_eq!(seen.snapshot.tag.version, version);
        let session = seen.snapshot.session().expect("it can be read");
        assert_eq!(session.metadata.as_deref(), Some(r#"{"table":7,"é":[1.5,null]}"#));
        let resumed = sessions.change(id(n), sessions.arrive(id(n)), Command::Resume.into()).await;
        let record = resumed.result.expect("it can go on").record.expect("it is there");
        assert_eq!(record.session().version, version + 1);
        let room = PageLimit { changes: 100, bytes: 1 << 20 };
        let found = data.archive().changes(id(n), None, room).await.expect("its history can be read");
        assert_eq!(found.changes.len() as u64, version + 1);
    }
    assert!(memory.read(id(3)).await.expect("it answers").is_tombstoned);
    assert!(data.close().await);
}
