//! Subscriptions: what a watcher receives, and in which order.

use std::sync::Arc;

use bytes::Bytes;
use synckairos::engine::{ChangeRecord, Command, Judgement, Outcome, SessionId, judge};
use synckairos::store::{
    CommandOrigin, Commit, Committed, Countdown, Decision, DecisionContext, Mutation, Record, Subscribed,
};
use tokio::task::JoinSet;

use super::recorder::Heard;
use super::rig::{SWITCH, id, new_session};
use super::{Backend, Rig};

impl<B: Backend> Rig<B> {
    /// Begins a watch.
    pub async fn watch(&self, id: SessionId) -> Subscribed {
        self.store.subscribe(id).await.expect("the store answers")
    }

    /// Changes a session that is watched to hear that all changes before were told, if they were at all.
    pub async fn hear_another(&self, n: u64) {
        let _watched = self.watch(id(n)).await;
        let record = self.create(new_session(n)).await.expect("the id is free");
        self.heard.until(id(n), record.session().tag()).await;
    }
}

/// The message that a listener gets of a state.
fn state(record: &Record) -> Heard {
    let session = record.session();
    let countdown =
        Countdown { made_at: session.updated_at, warnings: session.warnings(), deadline: session.deadline() };
    Heard::State(session.tag(), record.encoded().frame(), countdown)
}

pub async fn states_are_delivered_in_order_each_followed_by_its_notices(rig: Rig<impl Backend>) {
    let started = rig.start(new_session(1)).await;
    let watched = rig.watch(id(1)).await;
    let shown = watched.snapshot.map(|snapshot| snapshot.session().expect("it can be read"));
    assert_eq!(shown.as_ref(), Some(started.session()));
    let mut expected = Vec::new();
    for round in 0..20_u8 {
        let notices: Vec<_> = (0..round % 4).map(|n| Bytes::from(format!(r#"{{"type":"{round}.{n}"}}"#))).collect();
        let with = notices.clone();
        let decide = move |current: DecisionContext<'_>| {
            let before = current.record.expect("it exists").session();
            let Judgement { session, events, .. } = judge(before, &SWITCH, &Default::default(), current.at);
            let entry = ChangeRecord::of(Some(before), events, &session, current.at).expect("it was switched");
            let record = Arc::new(Record::new(session, current.now));
            Decision { write: Mutation::Put { record, notices: with.clone(), entry }, verdict: Ok(Outcome::default()) }
        };
        let commit = Commit {
            id: id(1),
            arrival: None,
            rate: None,
            participant: None,
            client: None,
            origin: CommandOrigin::default(),
            decide: Box::new(decide),
        };
        let Committed { record, verdict, quota, .. } = rig.commit(commit).await;
        assert_eq!((verdict, quota), (Ok(Outcome::default()), None));
        let record = record.expect("a state was put");
        rig.heard.until(id(1), record.session().tag()).await;
        expected.push(state(&record));
        expected.extend(notices.into_iter().map(Heard::Notice));
    }
    rig.hear_another(2).await;
    assert_eq!(rig.heard.of(id(1)), expected);
}

pub async fn nothing_is_missed_while_a_subscription_begins<B: Backend + 'static>(rig: Rig<B>) {
    let rig = Arc::new(rig);
    for n in 0..200 {
        rig.start(new_session(n)).await;
        let mut writers = JoinSet::new();
        for _ in 0..1 + n % 3 {
            let rig = Arc::clone(&rig);
            writers.spawn(async move { rig.ask(id(n), SWITCH).await.expect("it runs").session().tag() });
        }
        let watched = rig.watch(id(n)).await;
        let last = writers.join_all().await.into_iter().max().expect("somebody writes");
        let read = watched.snapshot.expect("it was created").tag;
        if read < last {
            rig.heard.until(id(n), last).await;
        }
        drop(watched.subscription);
    }
}

pub async fn nothing_is_delivered_after_the_end_of_a_subscription(rig: Rig<impl Backend>) {
    rig.start(new_session(1)).await;
    let watched = rig.watch(id(1)).await;
    let heard = rig.ask(id(1), SWITCH).await.expect("it runs").session().tag();
    rig.heard.until(id(1), heard).await;
    drop(watched);
    rig.ask(id(1), SWITCH).await.expect("it runs");
    rig.hear_another(2).await;
    assert_eq!(rig.heard.tags(id(1)), [heard]);

    let again = rig.watch(id(1)).await;
    assert_eq!(again.snapshot.as_ref().map(|snapshot| snapshot.tag.version), Some(heard.version + 1));
    let last = rig.ask(id(1), SWITCH).await.expect("it runs").session().tag();
    rig.heard.until(id(1), last).await;
    assert_eq!(rig.heard.tags(id(1)), [heard, last]);
}

pub async fn the_last_of_two_subscriptions_ends_the_delivery(rig: Rig<impl Backend>) {
    rig.start(new_session(1)).await;
    let (first, second) = (rig.watch(id(1)).await, rig.watch(id(1)).await);
    let mut tags = Vec::new();
    tags.push(rig.ask(id(1), SWITCH).await.expect("it runs").session().tag());
    rig.heard.until(id(1), tags[0]).await;
    drop(first);
    tags.push(rig.ask(id(1), SWITCH).await.expect("it runs").session().tag());
    rig.heard.until(id(1), tags[1]).await;
    drop(second);
    rig.ask(id(1), SWITCH).await.expect("it runs");
    rig.hear_another(2).await;
    assert_eq!(rig.heard.tags(id(1)), tags, "a state is heard once, however many watches there are");
}

pub async fn a_creation_is_delivered(rig: Rig<impl Backend>) {
    let watched = rig.watch(id(1)).await;
    assert!(watched.snapshot.is_none());
    let created = rig.create(new_session(1)).await.expect("the id is free");
    rig.heard.until(id(1), created.session().tag()).await;
    assert_eq!(rig.heard.of(id(1)), [state(&created)]);
}

pub async fn a_refusal_is_not_delivered(rig: Rig<impl Backend>) {
    let _watched = rig.watch(id(1)).await;
    let mut tags = Vec::new();
    for (refused, command) in [
        (Command::Start, None),
        (Command::Pause, Some(Command::Start)),
        (Command::Resume, Some(Command::Complete)),
        (SWITCH, None),
    ] {
        assert!(rig.ask(id(1), refused).await.is_err());
        rig.look(id(1), None).await;
        let record = match command {
            Some(command) => rig.ask(id(1), command).await.expect("the command fits"),
            None if tags.is_empty() => rig.create(new_session(1)).await.expect("the id is free"),
            None => rig.ask(id(1), Command::Cancel).await.expect("an end is an answer"),
        };
        assert!(rig.create(new_session(1)).await.is_err());
        tags.push(record.session().tag());
        rig.heard.until(id(1), record.session().tag()).await;
    }
    rig.hear_another(2).await;
    assert_eq!(tags.pop(), tags.last().copied(), "what has ended cannot be cancelled");
    assert_eq!(rig.heard.tags(id(1)), tags);
}
