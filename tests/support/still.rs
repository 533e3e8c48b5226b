//! Embedded sessions without background tasks, on a manual clock: only the test makes anything happen.

use std::sync::Arc;

use serde_json::Value;
use synckairos::clock::Clock;
use synckairos::engine::{Command, Millis, SessionId, Timestamp};
use synckairos::sessions::{CommandReply, CommandRequest, Sessions};
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::{Listener, Metrics, SessionStore, Update};
use synckairos::wire::{self, FieldProblems, Object};

/// Sessions that nobody watches.
pub struct Still {
    clock: Clock,
    store: Memory,
    pub sessions: Sessions,
}

struct Nobody;

impl Listener for Nobody {
    fn update(&self, _: SessionId, _: &Update) {}
}

impl Still {
    pub fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_ms(1_800_000_000_000));
        let limit = Limit { sessions_max: 100, tombstone_ttl: Millis::new(1_000), ..Limit::default() };
        let store = Memory::new(clock.clone(), limit, Arc::new(Nobody), Metrics::default());
        Self { sessions: Sessions::new(Arc::new(store.clone())), store, clock }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub fn pass(&self, ms: u64) {
        self.clock.advance_to(self.now() + Millis::new(ms));
    }

    /// Creates a session as a client does.
    pub async fn create(&self, body: &Value) -> SessionId {
        let body = body.to_string();
        let mut problems = FieldProblems::new();
        let object = Object::parse(body.as_bytes(), &mut problems).expect("it is JSON");
        let new = wire::create(&object, &mut problems).unwrap_or_else(|| panic!("it is valid: {problems:?}"));
        let id = new.id;
        self.sessions.create(self.sessions.arrive(id), new).await.expect("it is new");
        id
    }

    /// Asks for a change that arrives now.
    pub async fn ask(&self, id: SessionId, request: CommandRequest) -> CommandReply {
        self.sessions.change(id, self.sessions.arrive(id), request).await
    }

    /// Commands that must be carried out.
    pub async fn carry_out(&self, id: SessionId, commands: &[Command]) {
        for command in commands {
            self.ask(id, command.clone().into()).await.result.unwrap_or_else(|why| panic!("{command:?}: {why:?}"));
        }
    }

    /// The state as it is stored, whatever time it is.
    pub async fn stored(&self, id: SessionId) -> synckairos::engine::Session {
        let snapshot = self.store.read(id).await.expect("memory answers").snapshot;
        snapshot.expect("there is such a session").session().expect("it can be read")
    }
}
