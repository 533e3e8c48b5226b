//! Changes are serial: none is lost, and no refused command changes anything.

use std::sync::Arc;

use bytes::Bytes;
use synckairos::engine::{Command, Millis, Refusal, Session};
use synckairos::store::Record;
use tokio::task::JoinSet;

use super::rig::{LONG, SWITCH, id, new_session, refusal};
use super::{Backend, Rig};

/// The state and its bytes, to be compared.
fn whole(record: &Record) -> (Session, Bytes, Bytes) {
    (record.session().clone(), record.encoded().state(), record.encoded().participants())
}

pub async fn a_session_is_read_as_it_was_created(rig: Rig<impl Backend>) {
    assert!(rig.read(id(1)).await.is_none());
    let before = rig.now().await;
    let created = rig.create(new_session(1)).await.expect("the id is free");
    let session = created.session();
    assert_eq!(session, &new_session(1).create(session.epoch, session.created_at));
    assert!(session.epoch >= before.as_ms(), "an epoch is the authority's time");
    let read = rig.store.read(id(1)).await.expect("the store answers");
    assert!(read.now >= session.created_at);
    assert_eq!(read.snapshot.expect("it was created").body, created.encoded().body());
    assert!(rig.read(id(2)).await.is_none());
}

pub async fn an_id_that_exists_stays_as_it_was(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    let mut other = new_session(1);
    other.total_time = LONG + LONG;
    assert_eq!(refusal(rig.create(other).await), Refusal::Exists);
    assert_eq!(whole(&rig.read(id(1)).await.expect("it exists")), whole(&started));
}

pub async fn what_is_not_there_cannot_be_changed(rig: Rig<impl Backend>) {
    for command in [Command::Start, SWITCH, Command::Settle, Command::Complete] {
        assert_eq!(refusal(rig.ask(id(1), command).await), Refusal::NotFound);
    }
    assert!(rig.look(id(1), None).await.session.is_none());
    assert!(rig.read(id(1)).await.is_none());
}

pub async fn every_change_has_a_version_of_its_own<B: Backend + 'static>(rig: Rig<B>) {
    const TASKS: u64 = 64;
    const EACH: u64 = 16;
    rig.start(new_session(1)).await;
    let rig = Arc::new(rig);
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let rig = Arc::clone(&rig);
        tasks.spawn(async move {
            let mut acknowledged = Vec::new();
            for _ in 0..EACH {
                let done = rig.done(rig.store.arrive(id(1)), id(1), SWITCH).await;
                let done = done.expect("a running session can be switched");
                let record = done.record.expect("it exists");
                assert!(record.session().updated_at <= done.now, "a change was judged later than now");
                acknowledged.push((record.session().version, record.session().updated_at));
            }
            acknowledged
        });
    }
    let mut acknowledged = tasks.join_all().await.concat();
    acknowledged.sort_unstable();
    let versions: Vec<_> = acknowledged.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (3..3 + TASKS * EACH).collect::<Vec<_>>());
    assert!(acknowledged.is_sorted_by_key(|(_, updated_at)| *updated_at), "time runs backwards: {acknowledged:?}");
    let end = rig.read(id(1)).await.expect("it exists");
    assert_eq!(end.session().version, 2 + TASKS * EACH);
    let turns: u64 = end.session().participants.iter().map(|participant| participant.cycles).sum();
    assert_eq!(turns, TASKS * EACH, "every switch that was acknowledged ended a turn");
}

pub async fn changes_of_many_sessions_do_not_meet<B: Backend + 'static>(rig: Rig<B>) {
    const SESSIONS: u64 = 64;
    let rig = Arc::new(rig);
    let mut tasks = JoinSet::new();
    for n in 0..SESSIONS {
        let rig = Arc::clone(&rig);
        tasks.spawn(async move {
            rig.start(new_session(n)).await;
            for _ in 0..n % 8 {
                rig.ask(id(n), SWITCH).await.expect("a running session can be switched");
            }
        });
    }
    tasks.join_all().await;
    for n in 0..SESSIONS {
        let record = rig.read(id(n)).await.expect("it was created");
        assert_eq!((record.session().id, record.session().version), (id(n), 2 + n % 8));
    }
}

pub async fn what_is_refused_changes_nothing(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    rig.pass_until(started.session().updated_at + Millis::new(5)).await;
    assert!(matches!(refusal(rig.ask(id(1), Command::Start).await), Refusal::CannotStart(_)));
    assert!(matches!(refusal(rig.ask(id(1), Command::Resume).await), Refusal::CannotResume(_)));
    assert_eq!(whole(&rig.read(id(1)).await.expect("it exists")), whole(&started));
    let paused = rig.ask(id(1), Command::Pause).await.expect("a running session can be paused");
    assert_eq!(paused.session().version, started.session().version + 1);
}

pub async fn a_look_changes_nothing(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    let seen = rig.look(id(1), Some(rig.store.arrive(id(1)))).await;
    assert_eq!(seen.session.as_ref(), Some(started.session()));
    assert_eq!(seen.epoch, started.session().epoch);
    assert_eq!(whole(&rig.read(id(1)).await.expect("it exists")), whole(&started));
}
