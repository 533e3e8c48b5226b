//! A session's life as audit jobs, made by the engine itself.

use synckairos::engine::{
    ChangeRecord, Command, Event, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Session,
    SessionId, Timestamp, Uuid, judge,
};
use synckairos::wire;

pub const SWITCH: Command = Command::Switch { next: None, current: None };

/// 2025-01-01T00:00:00Z.
pub const BEGIN_MS: u64 = 1_735_689_600_000;

/// A UUID that shows its number.
pub fn uuid(n: u64) -> Uuid {
    Uuid::from_bits(0x4000_8000_0000_0000_0000 | u128::from(n))
}

/// A session, and a number that no event of it had.
#[derive(Clone)]
pub struct Life {
    session: Session,
    next_event: u64,
}

impl Life {
    /// A session of two participants with a minute each, and its first job.
    pub fn begin(n: u64, epoch: u64) -> (Self, Vec<u8>) {
        let participant = |place: u64| NewParticipant {
            id: ParticipantId(uuid(n * 100 + place)),
            index: place,
            total_time: Millis::new(60_000),
            group: None,
        };
        let new = NewSession {
            id: SessionId(uuid(n)),
            mode: Mode::PerParticipant,
            on_timeout: OnTimeout::Expire,
            participants: vec![participant(0), participant(1)],
            groups: Vec::new(),
            total_time: Millis::new(120_000),
            time_per_cycle: None,
            increment: Millis::new(2_000),
            max_time: None,
            warn_at: [].into(),
            metadata: Some(r#"{"table":7,"nothing":null}"#.into()),
            controls: None,
        };
        Self::of(&new, epoch, n)
    }

    /// The session `n`, whatever it is made of, and its first job.
    pub fn of(new: &NewSession, epoch: u64, n: u64) -> (Self, Vec<u8>) {
        let at = Timestamp::from_ms(BEGIN_MS);
        let session = new.create(epoch, at);
        let entry = ChangeRecord::of(None, vec![Event::Created], &session, at).expect("something happened");
        let mut life = Self { session, next_event: (n * 1_000 + epoch) * 1_000_000 };
        let job = life.job(&entry, at);
        (life, job)
    }

    /// The job of a change so long after the beginning.
    pub fn step(&mut self, command: &Command, after_ms: u64) -> Vec<u8> {
        self.try_step(command, after_ms).expect("the command fits")
    }

    /// The job of what a command so long after the beginning comes to, if it changes anything.
    pub fn try_step(&mut self, command: &Command, after_ms: u64) -> Option<Vec<u8>> {
        let at = Timestamp::from_ms(BEGIN_MS + after_ms);
        let mut judgement = judge(&self.session, command, &Default::default(), at);
        if *command == Command::Delete {
            judgement.events.push(Event::Deleted);
            judgement.session.version = self.session.version + 1;
        }
        let entry = ChangeRecord::of(Some(&self.session), judgement.events, &judgement.session, at)?;
        self.session = judgement.session;
        Some(self.job(&entry, at))
    }

    /// Goes back to an earlier state, as a store does that has lost what came after it: so long after the beginning,
    /// and as such a store names what comes next.
    pub fn forget(&mut self, earlier: &Self, after_ms: u64) {
        self.session = Session { epoch: BEGIN_MS + after_ms, ..earlier.session.clone() };
    }

    fn job(&mut self, entry: &ChangeRecord, at: Timestamp) -> Vec<u8> {
        self.next_event += 1;
        let members = wire::encode(&self.session, at).body();
        let mut job = Vec::new();
        wire::encode_job(&mut job, uuid(self.next_event), self.session.id, self.session.tag(), entry, None, &members);
        job
    }

    /// All of a life: created, started, switched, paused, resumed, completed, deleted.
    pub fn whole(n: u64, epoch: u64) -> Vec<Vec<u8>> {
        let (mut life, created) = Self::begin(n, epoch);
        let commands = [Command::Start, SWITCH, Command::Pause, Command::Resume, Command::Complete, Command::Delete];
        let rest = commands.iter().zip(1..).map(|(command, second)| life.step(command, second * 1_000));
        [created].into_iter().chain(rest).collect()
    }
}
