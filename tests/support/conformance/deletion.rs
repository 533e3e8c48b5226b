//! Tombstones: what is left of a deleted session.

use synckairos::engine::{Command, Refusal, StateTag};

use super::recorder::Heard;
use super::rig::{SWITCH, id, new_session, refusal};
use super::{Backend, Rig};

pub async fn a_deleted_session_is_gone(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    rig.start(new_session(2)).await;
    rig.delete(id(1)).await;
    assert!(rig.read(id(1)).await.is_none());
    let seen = rig.look(id(1), None).await;
    assert_eq!((seen.session, seen.epoch), (None, started.session().epoch + 1));
    assert!(rig.watch(id(1)).await.snapshot.is_none());
    for command in [Command::Start, SWITCH, Command::Settle] {
        assert_eq!(refusal(rig.ask(id(1), command).await), Refusal::NotFound);
    }
    assert!(rig.read(id(2)).await.is_some());
}

pub async fn an_id_that_comes_back_has_a_higher_epoch(rig: Rig<impl Backend>) {
    let mut epochs = Vec::new();
    for _ in 0..5 {
        let started = rig.start(new_session(1)).await;
        assert_eq!(started.session().version, 2);
        epochs.push(started.session().epoch);
        rig.delete(id(1)).await;
        rig.delete(id(1)).await;
        assert_eq!(Some(rig.look(id(1), None).await.epoch), epochs.last().map(|epoch| epoch + 1));
    }
    assert!(epochs.is_sorted_by(|earlier, later| earlier < later), "{epochs:?}");
}

pub async fn a_deletion_is_delivered_between_the_states_around_it(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await.session().tag();
    let _watched = rig.watch(id(1)).await;
    rig.delete(id(1)).await;
    let deleted = StateTag { version: started.version + 1, ..started };
    rig.heard.until(id(1), deleted).await;
    let again = rig.create(new_session(1)).await.expect("the id is free again").session().tag();
    rig.heard.until(id(1), again).await;
    let heard = rig.heard.of(id(1));
    let [Heard::Deleted(told, notice), Heard::State(first, ..)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((*told, *first), (deleted, again));
    let notice = std::str::from_utf8(notice).expect("JSON is UTF-8");
    assert!(notice.starts_with(r#"{"type":"SESSION_DELETED","#), "{notice}");
}

pub async fn what_is_not_there_can_be_deleted(rig: Rig<impl Backend>) {
    let _watched = rig.watch(id(1)).await;
    rig.delete(id(1)).await;
    assert_eq!(rig.look(id(1), None).await.epoch, 0, "nothing was there to be remembered");
    let created = rig.create(new_session(1)).await.expect("the id is free");
    rig.heard.until(id(1), created.session().tag()).await;
    assert_eq!(rig.heard.tags(id(1)), [created.session().tag()]);
}
