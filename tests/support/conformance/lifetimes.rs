//! Lifetimes: sessions without any command lapse.

use synckairos::engine::{Command, Millis, Mode, NewSession, SessionId, StateTag};
use synckairos::store::Lifetimes;

use super::rig::{SWITCH, id, new_session};
use super::{Backend, Rig};
use crate::wait::until;

/// As short as can be told apart everywhere.
pub const BRIEF: Lifetimes =
    Lifetimes { pending: Millis::new(1_000), idle: Millis::new(3_000), ended: Millis::new(2_000) };

/// How often to look.
const STEP: Millis = Millis::new(100);

impl<B: Backend> Rig<B> {
    /// Waits until it is told that a session is gone.
    async fn until_gone(&self, id: SessionId) {
        until(&format!("{id} is gone"), async || {
            self.pass(STEP).await;
            !self.heard.deletions(id).is_empty()
        })
        .await;
    }
}

/// A session whose clocks never run out.
fn endless(n: u64) -> NewSession {
    NewSession { mode: Mode::CountUp, ..new_session(n) }
}

fn after(tag: StateTag) -> StateTag {
    StateTag { version: tag.version + 1, ..tag }
}

pub async fn watchers_of_a_session_that_lapses_are_notified_once(rig: Rig<impl Backend>) {
    let ways = [
        &[][..],
        &[Command::Start],
        &[Command::Start, Command::Pause],
        &[Command::Start, Command::Complete],
        &[Command::Cancel],
    ];
    let mut last = Vec::new();
    let mut watched = Vec::new();
    for (n, commands) in (1..).zip(ways) {
        // Whoever comes before, and whoever comes after, is told by what has the state last.
        if n % 2 == 0 {
            watched.push(rig.watch(id(n)).await);
        }
        let mut record = rig.create(endless(n)).await.expect("the id is free");
        for command in commands {
            record = rig.ask(id(n), command.clone()).await.expect("the command fits");
        }
        watched.push(rig.watch(id(n)).await);
        last.push((id(n), record.session().tag()));
    }
    for &(id, tag) in &last {
        rig.until_gone(id).await;
        assert_eq!(rig.heard.tags(id).last(), Some(&after(tag)), "{id}");
        assert!(rig.read(id).await.is_none(), "{id}");
    }
    rig.hear_another(100).await;
    for (id, _) in last {
        let told = rig.heard.deletions(id);
        let [told] = &told[..] else { panic!("{id}: {told:?}") };
        let start = format!(r#"{{"type":"SESSION_DELETED","sessionId":"{id}","timestamp":"#);
        assert!(told.starts_with(&start) && told.ends_with(r#","reason":"lapsed"}"#), "{told}");
    }
}

pub async fn a_change_keeps_a_session_for_longer_or_less_long(rig: Rig<impl Backend>) {
    let _watched = (rig.watch(id(1)).await, rig.watch(id(2)).await);
    let started = rig.start(endless(1)).await.session().updated_at;
    rig.start(endless(2)).await;
    rig.ask(id(2), Command::Complete).await.expect("it runs");
    while rig.now().await < started + BRIEF.idle + BRIEF.pending || rig.heard.deletions(id(2)).is_empty() {
        rig.ask(id(1), SWITCH).await.expect("it is kept while something happens");
        rig.pass(STEP).await;
    }
    assert_eq!(rig.heard.deletions(id(1)), [""; 0]);
    rig.until_gone(id(1)).await;
}

pub async fn another_session_may_have_the_name_of_one_that_lapsed(rig: Rig<impl Backend>) {
    let _watched = rig.watch(id(1)).await;
    let mut tags = Vec::new();
    for _ in 0..2 {
        let created = rig.create(new_session(1)).await.expect("the id is free").session().tag();
        assert_eq!(created.version, 1);
        until("it is gone, and that is told", async || {
            rig.pass(STEP).await;
            rig.heard.tags(id(1)).last() == Some(&after(created))
        })
        .await;
        tags.extend([created, after(created)]);
    }
    assert_eq!(rig.heard.tags(id(1)), tags);
}

pub async fn what_was_deleted_does_not_lapse(rig: Rig<impl Backend>) {
    let _watched = rig.watch(id(1)).await;
    let created = rig.create(new_session(1)).await.expect("the id is free").session().tag();
    rig.delete(id(1)).await;
    rig.heard.until(id(1), after(created)).await;
    rig.pass(BRIEF.pending + BRIEF.pending).await;
    rig.hear_another(2).await;
    assert_eq!(rig.heard.tags(id(1)), [created, after(created)]);
    let told = rig.heard.deletions(id(1));
    assert!(matches!(&told[..], [told] if !told.contains("reason")), "{told:?}");
}
