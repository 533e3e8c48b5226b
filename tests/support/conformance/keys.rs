//! Commands that have keys: one that is sent again is known, on whatever came of it since.

use std::sync::Arc;

use synckairos::engine::{Command, Millis, NewSession, Refusal, SessionId};
use synckairos::sessions::{CommandReply, CommandRequest};
use synckairos::store::{CommandKey, CommandOrigin};
use tokio::task::JoinSet;

use super::rig::{SWITCH, id, new_session, refusal};
use super::{Backend, Rig};

/// How many changes a key outlives at least.
const REMEMBERED: u8 = 16;

/// The `name`d command that asks for `request`.
fn keyed(name: u8, request: u8) -> CommandOrigin {
    CommandOrigin::new(None, Some(CommandKey::new([name; 12], [request; 4])))
}

impl<B: Backend> Rig<B> {
    async fn send(&self, id: SessionId, origin: CommandOrigin, command: Command) -> CommandReply {
        let request = CommandRequest { origin, ..command.into() };
        self.sessions.change(id, self.store.arrive(id), request).await
    }

    async fn send_new(&self, origin: CommandOrigin, new: NewSession) -> CommandReply {
        self.sessions.create_by(origin, self.store.arrive(new.id), new).await
    }
}

/// The version that an answer shows, and whether it is a repeated one.
#[track_caller]
fn told(reply: CommandReply) -> (u64, bool) {
    let done = reply.result.expect("it is not refused");
    (done.record.expect("it is there").session().version, reply.is_replayed)
}

/// Why it was refused, and whether it is known.
#[track_caller]
fn refused(reply: CommandReply) -> (Refusal, bool) {
    let is_replayed = reply.is_replayed;
    (refusal(reply.result), is_replayed)
}

pub async fn a_command_that_is_sent_again_is_not_carried_out_again(rig: Rig<impl Backend>) {
    rig.create(new_session(1)).await.expect("the id is free");
    assert_eq!(told(rig.send(id(1), keyed(1, 0), Command::Start).await), (2, false));
    assert_eq!(told(rig.send(id(1), keyed(1, 0), Command::Start).await), (2, true));
    assert_eq!(told(rig.send(id(1), keyed(2, 0), SWITCH).await), (3, false));
    assert_eq!(told(rig.send(id(1), keyed(2, 0), SWITCH).await), (3, true));
    rig.ask(id(1), SWITCH).await.expect("a running session can be switched");
    for (name, command) in [(1, Command::Start), (2, SWITCH)] {
        assert_eq!(told(rig.send(id(1), keyed(name, 0), command).await), (4, true), "it shows what is now");
    }
    assert_eq!(told(rig.send(id(1), CommandOrigin::default(), SWITCH).await), (5, false));
    let end = rig.read(id(1)).await.expect("it exists");
    assert_eq!(end.session().participants.iter().map(|participant| participant.cycles).sum::<u64>(), 3);
}

pub async fn a_name_is_of_one_request(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    assert_eq!(told(rig.send(id(1), keyed(1, 0), SWITCH).await), (3, false));
    for again in 0..2 {
        assert_eq!(refused(rig.send(id(1), keyed(1, 1), SWITCH).await), (Refusal::OtherCommand, false), "{again}");
    }
    let mut other = new_session(1);
    other.total_time = Millis::new(5_000);
    assert_eq!(refused(rig.send_new(keyed(1, 2), other).await), (Refusal::OtherCommand, false));
    assert_eq!(told(rig.send(id(1), keyed(1, 0), SWITCH).await), (started.session().version + 1, true));
    rig.start(new_session(2)).await;
    assert_eq!(told(rig.send(id(2), keyed(1, 1), SWITCH).await), (3, false), "another session knows nothing of it");
}

pub async fn a_creation_that_is_sent_again_shows_what_became_of_it(rig: Rig<impl Backend>) {
    assert_eq!(told(rig.send_new(keyed(1, 0), new_session(1)).await), (1, false));
    assert_eq!(told(rig.send_new(keyed(1, 0), new_session(1)).await), (1, true));
    assert_eq!(refused(rig.send_new(keyed(2, 0), new_session(1)).await), (Refusal::Exists, false));
    rig.ask(id(1), Command::Start).await.expect("a new session can be started");
    assert_eq!(told(rig.send_new(keyed(1, 0), new_session(1)).await), (2, true));
    rig.delete(id(1)).await;
    let late = refused(rig.send_new(keyed(1, 0), new_session(1)).await);
    assert_eq!(late, (Refusal::NotFound, true), "a late one does not bring back what was deleted");
    assert!(rig.read(id(1)).await.is_none());
    assert_eq!(told(rig.send_new(keyed(3, 0), new_session(1)).await), (1, false));
}

pub async fn a_deletion_that_is_sent_again_is_the_same(rig: Rig<impl Backend>) {
    rig.start(new_session(1)).await;
    assert_eq!(told(rig.send(id(1), keyed(2, 0), SWITCH).await), (3, false));
    for is_replayed in [false, true, true] {
        let reply = rig.send(id(1), keyed(1, 0), Command::Delete).await;
        assert_eq!((reply.is_replayed, reply.result.expect("it is done").record.is_none()), (is_replayed, true));
    }
    assert_eq!(refused(rig.send(id(1), keyed(2, 0), SWITCH).await), (Refusal::NotFound, true));
    let again = rig.start(new_session(1)).await;
    let reply = rig.send(id(1), keyed(1, 0), Command::Delete).await;
    assert!(reply.is_replayed && reply.result.is_ok());
    assert_eq!(
        rig.read(id(1)).await.map(|read| read.session().tag()),
        Some(again.session().tag()),
        "it is another one"
    );
}

pub async fn what_was_refused_or_did_nothing_is_judged_again(rig: Rig<impl Backend>) {
    rig.create(new_session(1)).await.expect("the id is free");
    assert!(matches!(refused(rig.send(id(1), keyed(1, 0), Command::Pause).await), (Refusal::CannotPause(_), false)));
    rig.ask(id(1), Command::Start).await.expect("a new session can be started");
    assert_eq!(told(rig.send(id(1), keyed(1, 0), Command::Pause).await), (3, false));
    assert_eq!(told(rig.send(id(1), keyed(1, 0), Command::Pause).await), (3, true));
    let nobody = rig.send(id(2), keyed(2, 0), Command::Start).await;
    assert_eq!(refused(nobody), (Refusal::NotFound, false));
    rig.create(new_session(2)).await.expect("the id is free");
    assert_eq!(told(rig.send(id(2), keyed(2, 0), Command::Start).await), (2, false));
}

pub async fn what_time_did_is_not_the_commands_doing(rig: Rig<impl Backend>) {
    let started = rig.start_short(1, Millis::new(20)).await;
    rig.pass_until(started.session().deadline().expect("a clock runs") + Millis::new(2)).await;
    let resume = rig.send(id(1), keyed(1, 0), Command::Resume).await;
    assert!(matches!(refused(resume), (Refusal::CannotResume(_), false)));
    let settled = rig.read(id(1)).await.expect("it exists");
    assert!(settled.session().version > started.session().version, "its clock has flagged");
    let resume = rig.send(id(1), keyed(1, 0), Command::Resume).await;
    assert!(matches!(refused(resume), (Refusal::CannotResume(_), false)), "it is judged again");
}

pub async fn a_key_outlives_sixteen_changes(rig: Rig<impl Backend>) {
    rig.start(new_session(1)).await;
    assert_eq!(told(rig.send(id(1), keyed(0, 0), SWITCH).await), (3, false));
    for _ in 1..REMEMBERED {
        rig.ask(id(1), SWITCH).await.expect("a running session can be switched");
    }
    assert_eq!(told(rig.send(id(1), keyed(0, 0), SWITCH).await), (18, true));
    for name in 1..REMEMBERED {
        assert_eq!(told(rig.send(id(1), keyed(name, 0), SWITCH).await), (18 + u64::from(name), false), "{name}");
    }
    for name in 0..REMEMBERED {
        assert_eq!(told(rig.send(id(1), keyed(name, 0), SWITCH).await), (33, true), "{name}");
    }
    assert_eq!(told(rig.send(id(1), keyed(REMEMBERED, 0), SWITCH).await), (34, false));
    assert_eq!(told(rig.send(id(1), keyed(0, 0), SWITCH).await), (35, false), "it was the oldest");
}

pub async fn of_commands_that_are_sent_at_once_one_is_carried_out<B: Backend + 'static>(rig: Rig<B>) {
    const EACH: usize = 8;
    rig.start(new_session(1)).await;
    let rig = Arc::new(rig);
    for name in 0..8 {
        let mut sent = JoinSet::new();
        for _ in 0..EACH {
            let rig = Arc::clone(&rig);
            sent.spawn(async move { told(rig.send(id(1), keyed(name, 0), SWITCH).await) });
        }
        let sent = sent.join_all().await;
        let first = sent.iter().filter(|(_, is_replayed)| !is_replayed).count();
        assert_eq!(first, 1, "{sent:?}");
        assert!(sent.iter().all(|(version, _)| *version == 3 + u64::from(name)), "{sent:?}");
    }
}
