//! The archive is read back: the newest state, and all changes in order.

use serde_json::Value;
use synckairos::engine::{SessionId, StateTag};
use synckairos::postgres::{PostgresArchive, migrate_server};
use synckairos::sessions::Page;
use synckairos::store::{Archive, PageLimit, PendingAudit, StoreError};
use synckairos::supervision::Supervisor;
use tokio::runtime::Runtime;

use test_support::postgres::Postgres;

use super::{migrated, server, write};
use test_support::life::{BEGIN_MS, Life, uuid};

/// Clients of PostgreSQL that block must not be in a task, so that a test only waits in one.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The state of a job, as it stands there.
pub(super) fn state_of(job: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(job).expect("JSON is text");
    let (_, state) = text.split_once(r#","state":"#).expect("it stands last");
    state.strip_suffix('}').expect("a job ends").into()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("it is JSON")
}

#[test]
fn the_newest_state_is_read_back() {
    let (database, _client, mut sink) = migrated();
    let runtime = runtime();
    let archive = PostgresArchive::start(server(&database.url()), &Supervisor::default()).expect("there are threads");
    let newest = || runtime.block_on(archive.newest(SessionId(uuid(1)))).expect("it answers");
    assert_eq!(newest(), None);
    let jobs = Life::whole(1, 4);
    write(&mut sink, &jobs[..6]).expect("it is written");
    let found = newest().expect("it is there");
    assert_eq!(found.tag, StateTag { epoch: 4, version: 6 });
    assert_eq!(found.at.as_ms(), BEGIN_MS + 5_000);
    assert!(!found.is_deleted);
    assert_eq!(found.state, state_of(&jobs[5]), "byte for byte");
    write(&mut sink, &jobs).expect("it is written");
    assert!(newest().expect("it is there").is_deleted);
    write(&mut sink, &[Life::begin(1, 5).1]).expect("it is written");
    let found = newest().expect("it is there");
    assert_eq!((found.tag, found.is_deleted), (StateTag { epoch: 5, version: 1 }, false));
}

#[test]
fn changes_are_read_back_as_the_jobs_they_were() {
    let (database, _client, mut sink) = migrated();
    let runtime = runtime();
    let archive = PostgresArchive::start(server(&database.url()), &Supervisor::default()).expect("there are threads");
    let mut jobs = Life::whole(1, 1);
    jobs.push(Life::begin(1, 2).1);
    let backwards: Vec<_> = jobs.iter().rev().cloned().collect();
    write(&mut sink, &backwards).expect("it is written");
    write(&mut sink, &Life::whole(2, 1)).expect("it is written");
    // A page ends with the change that fills it.
    for (size, bytes) in [(1, usize::MAX), (3, usize::MAX), (100, usize::MAX), (1, 1), (2, jobs[0].len() + 1)] {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let changes = if bytes == usize::MAX { size } else { 100 };
            let room = PageLimit { changes, bytes };
            let page = runtime.block_on(archive.changes(SessionId(uuid(1)), after, room)).expect("it answers");
            let (changes, has_more) = (page.changes, page.has_more);
            assert!(changes.len() <= size);
            assert_eq!(has_more, found.len() + changes.len() < jobs.len());
            let Some(last) = changes.last() else { break };
            after = Some(last.tag.into());
            found.extend(changes);
        }
        assert_eq!(found.len(), jobs.len());
        for (change, job) in found.iter().zip(&jobs) {
            assert_eq!(change.job, job, "byte for byte");
            let job = json(job);
            assert_eq!(change.is_deletion, job["event_type"] == "session_deleted");
            assert_eq!(
                (Some(change.tag.epoch), Some(change.tag.version)),
                (job["epoch"].as_u64(), job["version"].as_u64())
            );
        }
    }
}

#[test]
fn an_archive_outlives_its_server_and_never_hangs_with_it() {
    let mut postgres = Postgres::start();
    migrate_server(&server(&postgres.url("postgres"))).expect("the database is empty");
    let runtime = runtime();
    let archive =
        PostgresArchive::start(server(&postgres.url("postgres")), &Supervisor::default()).expect("there are threads");
    let newest = || runtime.block_on(archive.newest(SessionId(uuid(1))));
    assert_eq!(newest(), Ok(None));
    postgres.stop();
    assert!(matches!(newest(), Err(StoreError::Unavailable(_))));
    postgres.start_again();
    assert_eq!(newest(), Ok(None));
    postgres.stop();
    postgres.start_again();
    postgres.signal("STOP");
    assert!(matches!(newest(), Err(StoreError::Unavailable(_))), "whoever connects hears nothing");
    postgres.signal("CONT");
    assert_eq!(newest(), Ok(None));
}

/// What an earlier program wrote twice, or without saying of which state it was, shares a place in the order of tags.
#[test]
fn changes_of_one_state_are_neither_skipped_nor_repeated_at_the_edge_of_a_page() {
    let (database, mut client, mut sink) = migrated();
    let runtime = runtime();
    let archive = PostgresArchive::start(server(&database.url()), &Supervisor::default()).expect("there are threads");
    let jobs = Life::whole(1, 5);
    write(&mut sink, &jobs).expect("it is written");
    for (count, epoch, version) in [(7, 0, 0), (4, 5, 3), (3, 5, 7)] {
        let rows = format!(
            "insert into sync_events (id, session_id, event_type, cycle_number, \"timestamp\", epoch, version) \
             select gen_random_uuid(), '{}', 'session_updated', 0, timestamptz '2024-01-01' + n * interval '1 s', \
             {epoch}, {version} from generate_series(1, {count}) n",
            uuid(1)
        );
        client.batch_execute(&rows).expect("they fit");
    }
    let page = |after, changes| {
        let page = archive.changes(SessionId(uuid(1)), after, PageLimit { changes, bytes: usize::MAX });
        Page::new(runtime.block_on(page).expect("it answers"), after, PendingAudit::default())
    };
    let whole: Vec<_> = page(None, 100).changes;
    assert_eq!(whole.len(), jobs.len() + 7 + 4 + 3);
    for size in 1..=whole.len() {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = page(after, size);
            after = page.next(after);
            found.extend(page.changes);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(found, whole, "pages of {size}");
        assert_eq!(page(after, size).changes, [], "and nothing comes after them");
    }
}
