//! A store with all that a case needs around it: commands in a line each, what was heard, time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;
use synckairos::engine::{
    Command, GroupId, Millis, Mode, NewParticipant, NewSession, OnTimeout, Outcome, ParticipantId, Refusal, Session,
    SessionId, Timestamp, Uuid,
};
use synckairos::readiness::Finding;
use synckairos::sessions::{Applied, Failure, Sessions};
use synckairos::store::{
    self, Arrival, CommandOrigin, Commit, CommitOutcome, Committed, Decision, DecisionContext, Lifetimes, Mutation,
    Record,
};
use tokio::task::JoinSet;

use super::Backend;
use super::recorder::Recorder;

/// A time that no case waits for.
pub const LONG: Millis = Millis::new(86_400_000);

/// An open store.
pub struct Rig<B> {
    pub store: Arc<dyn store::Backend>,
    pub sessions: Sessions,
    pub heard: Arc<Recorder>,
    backend: B,
    /// Ends with the rig.
    _upkeep: JoinSet<()>,
}

/// What a decision was shown.
#[derive(Clone, Debug)]
pub struct Seen {
    pub session: Option<Session>,
    pub epoch: u64,
    pub at: Timestamp,
    pub now: Timestamp,
    pub changed_since_arrival: bool,
}

impl<B: Backend> Rig<B> {
    /// Opens a store of its own.
    pub async fn open() -> Self {
        Self::open_with(Lifetimes::default()).await
    }

    /// Opens a store of its own that keeps sessions for so long.
    pub async fn open_with(lifetimes: Lifetimes) -> Self {
        let heard = Arc::new(Recorder::default());
        let backend = B::open(Arc::clone(&heard) as _, lifetimes).await;
        let store = backend.store();
        let mut upkeep = JoinSet::new();
        let keeper = Arc::clone(&store);
        upkeep.spawn(async move { keeper.run().await });
        let sessions = Sessions::new(Arc::clone(&store) as _);
        let unready: Vec<_> = store.health().into_iter().filter_map(Finding::unready_reason).collect();
        assert_eq!(unready, Vec::<String>::new(), "a store that is open can serve");
        Self { store, sessions, heard, backend, _upkeep: upkeep }
    }

    /// The authority's time.
    pub async fn now(&self) -> Timestamp {
        self.store.now(None).await.expect("the store answers")
    }

    /// Waits until deadlines have passed in any part; returns whose.
    pub async fn overdue(&self) -> Vec<SessionId> {
        let mut parts: Vec<_> = (0..self.store.partitions()).map(|part| self.store.overdue(part)).collect();
        poll_fn(|context| {
            let mut all = Vec::new();
            for part in &mut parts {
                if let Poll::Ready(overdue) = part.as_mut().poll(context) {
                    all.extend(overdue);
                }
            }
            if all.is_empty() { Poll::Pending } else { Poll::Ready(all) }
        })
        .await
    }

    /// Lets time pass until `at`, or later.
    pub async fn pass_until(&self, at: Timestamp) {
        self.backend.pass_until(at).await;
        // What is known of a server's clock may be ahead of it by less than a millisecond.
        while self.now().await < at {}
    }

    /// Lets so much time pass, or more.
    pub async fn pass(&self, length: Millis) {
        self.pass_until(self.now().await + length).await;
    }

    /// Creates a session.
    pub async fn create(&self, new: NewSession) -> Result<Arc<Record>, Failure> {
        record(self.sessions.create(self.store.arrive(new.id), new).await)
    }

    /// Asks for a change that arrives now.
    pub async fn ask(&self, id: SessionId, command: Command) -> Result<Arc<Record>, Failure> {
        record(self.done(self.store.arrive(id), id, command).await)
    }

    /// Asks for a change that arrived some time ago.
    pub async fn done(&self, arrival: Arrival, id: SessionId, command: Command) -> Result<Applied, Failure> {
        self.sessions.change(id, arrival, command.into()).await.result
    }

    /// Creates a session and begins its first turn.
    pub async fn start(&self, new: NewSession) -> Arc<Record> {
        let id = new.id;
        self.create(new).await.expect("the id is free");
        self.ask(id, Command::Start).await.expect("a new session can be started")
    }

    /// Creates a session whose first turn ends in `budget`, while the second may last.
    pub async fn start_short(&self, n: u64, budget: Millis) -> Arc<Record> {
        let mut new = new_session(n);
        new.participants[0].total_time = budget;
        self.start(new).await
    }

    /// Takes a session away.
    pub async fn delete(&self, id: SessionId) {
        let done = self.done(self.store.arrive(id), id, Command::Delete).await;
        assert!(done.expect("everything can be deleted").record.is_none());
    }

    /// What a decision is shown now; it changes nothing.
    pub async fn look(&self, id: SessionId, arrival: Option<Arrival>) -> Seen {
        let seen = Arc::new(Mutex::new(None));
        let shown = Arc::clone(&seen);
        let decide = move |current: DecisionContext<'_>| {
            *shown.lock() = Some(Seen {
                session: current.record.map(|record| record.session().clone()),
                epoch: current.epoch,
                at: current.at,
                now: current.now,
                changed_since_arrival: current.changed_since_arrival,
            });
            Decision { write: Mutation::Nothing, verdict: Ok(Outcome::default()) }
        };
        self.commit(Commit {
            id,
            arrival,
            rate: None,
            participant: None,
            client: None,
            origin: CommandOrigin::default(),
            decide: Box::new(decide),
        })
        .await;
        let seen = seen.lock().take();
        seen.expect("a decision was asked for")
    }

    /// Commits what is to be decided.
    pub async fn commit(&self, commit: Commit) -> Committed {
        match self.commit_limited(commit).await {
            CommitOutcome::Decided(committed) => committed,
            CommitOutcome::RateLimited(quota) => panic!("it has no limit: {quota:?}"),
        }
    }

    /// Commits what is to be decided, unless a limit is reached.
    pub async fn commit_limited(&self, commit: Commit) -> CommitOutcome {
        self.store.commit(commit).await.expect("the store answers")
    }

    /// The authority's time, as a read tells it.
    pub async fn read_now(&self) -> Timestamp {
        self.store.read(id(0)).await.expect("the store answers").now
    }

    /// The session as it is stored.
    pub async fn read(&self, id: SessionId) -> Option<Arc<Record>> {
        let snapshot = self.store.read(id).await.expect("the store answers").snapshot?;
        let session = snapshot.session().expect("what is stored can be read");
        assert_eq!((snapshot.tag, snapshot.deadline), (session.tag(), session.deadline()));
        Some(Arc::new(Record::read(session)))
    }
}

impl<B> Drop for Rig<B> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.heard.check();
        }
    }
}

fn record(done: Result<Applied, Failure>) -> Result<Arc<Record>, Failure> {
    done.map(|done| done.record.expect("only a deletion leaves nothing"))
}

/// The reason why something was refused.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> Refusal {
    match result {
        Err(Failure::Refused(_, refusal)) => refusal,
        Err(failure @ (Failure::Limited(_) | Failure::Store(_) | Failure::NoHistory)) => {
            panic!("not refused but {failure:?}")
        }
        Ok(done) => panic!("not refused: {done:?}"),
    }
}

/// Whether it is not over after having had every chance.
pub async fn waits<T>(mut what: Pin<&mut impl Future<Output = T>>) -> bool {
    for _ in 0..200 {
        tokio::select! {
            biased;
            _ = &mut what => return false,
            () = tokio::task::yield_now() => {}
        }
    }
    true
}

/// A switch by rotation.
pub const SWITCH: Command = Command::Switch { next: None, current: None };

/// The `n`th id.
pub fn id(n: u64) -> SessionId {
    SessionId(Uuid::from_bits(0x0000_0000_0000_4000_8000_0000_0000_0000 | u128::from(n)))
}

/// The session of the `n`th id: two participants with a day each.
pub fn new_session(n: u64) -> NewSession {
    let participant = |place| NewParticipant {
        id: ParticipantId(Uuid::from_bits(0x1111_1111_1111_4111_8111_0000_0000_0000 | u128::from(place))),
        index: place,
        total_time: LONG,
        group: Some(GroupId(Uuid::from_bits(0))),
    };
    NewSession {
        id: id(n),
        mode: Mode::PerParticipant,
        participants: vec![participant(0), participant(1)],
        groups: Vec::new(),
        total_time: LONG,
        time_per_cycle: None,
        increment: Millis::ZERO,
        max_time: None,
        on_timeout: OnTimeout::Expire,
        warn_at: [Millis::new(500)].into(),
        metadata: Some(r#"{"z":[1.50],"a":"é"}"#.into()),
        controls: None,
    }
}
