//! Clients: each asks one instance after the other, and takes down what comes of it. Does not know what is right.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use synckairos::engine::{
    Command, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Patch, Precondition, SessionId, Uuid,
};
use synckairos::sessions::{Applied, CommandRequest, Failure, Sessions};
use tokio::sync::oneshot;

use super::instance::Instance;
use super::operation::{Answer, Kind, Operation};
use super::told;
use crate::dice::Dice;
use crate::scheduler::Scheduler;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Participants of a session.
const PARTICIPANTS: u64 = 3;

/// The instances of a run, as far as they are up.
pub(super) type Instances = Arc<Mutex<Vec<Option<Arc<Instance>>>>>;

/// What all clients of a run share.
#[derive(Clone)]
pub(super) struct Clients {
    /// When.
    pub scheduler: Scheduler,
    /// Whom.
    pub instances: Instances,
    /// About what.
    pub sessions: Arc<[SessionId]>,
    /// What came of it.
    pub history: Arc<Mutex<Vec<Operation>>>,
}

impl Clients {
    /// One client asks until some time.
    pub(super) async fn ask_until(self, mut dice: Dice, until: Duration, pause: Duration) {
        while self.scheduler.now() < until {
            let most = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX - 1);
            self.scheduler.sleep(Duration::from_micros(dice.below(most + 1))).await;
            let index = dice.index(self.sessions.len());
            let kind = kind(&mut dice);
            self.ask(&mut dice, self.sessions[index], kind).await;
        }
    }

    /// Asks any instance that is up.
    pub(super) async fn ask(&self, dice: &mut Dice, session: SessionId, kind: Kind) -> Option<Answer> {
        let all = self.instances.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let index = dice.index(all.len());
        let instance = all.get(index)?.clone()?;
        Some(self.ask_one(&instance, index, dice, session, kind).await)
    }

    /// Asks an instance.
    pub(super) async fn ask_one(
        &self,
        instance: &Arc<Instance>,
        index: usize,
        dice: &mut Dice,
        session: SessionId,
        kind: Kind,
    ) -> Answer {
        let asked_at = self.scheduler.now();
        let mut own = dice.split();
        let new = new_session(&mut own, session);
        let number = {
            let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            let number = history.len() as u64;
            history.push(Operation {
                number,
                instance: index,
                session,
                kind,
                asked_at,
                answered_at: Duration::MAX,
                answer: Answer::Unknown,
                ask: told::ask(kind, &new, number),
                told: Some(histories::Answer::Unknown),
            });
            number
        };
        let (reply, answer) = oneshot::channel();
        let sessions = instance.sessions.clone();
        instance.machine.run(async move {
            // A client that has gone away is not told.
            let _ = reply.send(carry_out(&sessions, new, session, kind, number).await);
        });
        let (answer, told) = match select(answer, std::pin::pin!(self.scheduler.sleep(PATIENCE))).await {
            Either::Left((Ok(answer), _)) => answer,
            Either::Left((Err(_), _)) | Either::Right(_) => (Answer::Unknown, Some(histories::Answer::Unknown)),
        };
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operation) = usize::try_from(number).ok().and_then(|number| history.get_mut(number)) {
            operation.answered_at = self.scheduler.now();
            (operation.answer, operation.told) = (answer.clone(), told);
        }
        answer
    }
}

/// What to ask next: mostly what makes a session go on.
fn kind(dice: &mut Dice) -> Kind {
    match dice.below(32) {
        0..3 => Kind::Create,
        3..6 => Kind::Start,
        6..15 => Kind::Switch,
        15..17 => Kind::Pause,
        17..20 => Kind::Resume,
        20..26 => Kind::Patch,
        26 => Kind::Complete,
        27 => Kind::Cancel,
        28..30 => Kind::Delete,
        _ => Kind::Read,
    }
}

/// What comes of it, and how that is judged.
async fn carry_out(
    sessions: &Sessions,
    new: NewSession,
    id: SessionId,
    kind: Kind,
    number: u64,
) -> (Answer, Option<histories::Answer>) {
    let command = match kind {
        Kind::Create => {
            let result = sessions.create(sessions.arrive(id), new).await;
            let told = told::changed(&result);
            return (answer(result), told);
        }
        Kind::Read => {
            let result = sessions.read(id).await;
            let told = told::read(&result);
            let answer = match result {
                Ok(view) => Answer::Done(Some(view.snapshot.tag)),
                Err(failure) => Answer::of_failure(&failure),
            };
            return (answer, told);
        }
        Kind::Start => Command::Start,
        Kind::Switch => Command::Switch { next: None, current: None },
        Kind::Pause => Command::Pause,
        Kind::Resume => Command::Resume,
        Kind::Patch => {
            let metadata = Some(Some(Operation::mark(number).into()));
            Command::Patch(Patch { metadata, ..Patch::default() })
        }
        Kind::Complete => Command::Complete,
        Kind::Cancel => Command::Cancel,
        Kind::Delete => Command::Delete,
    };
    let request = CommandRequest { precondition: Precondition::default(), ..CommandRequest::from(command) };
    let result = sessions.change(id, sessions.arrive(id), request).await.result;
    let told = told::changed(&result);
    (answer(result), told)
}

fn answer(result: Result<Applied, Failure>) -> Answer {
    match result {
        // A switch that comes too late does nothing.
        Ok(Applied { outcome, .. }) if outcome.late => Answer::Refused,
        Ok(Applied { record, .. }) => Answer::Done(record.map(|record| record.session().tag())),
        Err(failure) => Answer::of_failure(&failure),
    }
}

fn new_session(dice: &mut Dice, id: SessionId) -> NewSession {
    let length = |dice: &mut Dice| Millis::new(50 + dice.below(1_500));
    let participants = (0..PARTICIPANTS).map(|index| NewParticipant {
        id: ParticipantId(Uuid::from_bits(id.0.bits() + 1 + u128::from(index))),
        index,
        total_time: length(dice),
        group: None,
    });
    let participants: Vec<_> = participants.collect();
    let any = Mode::ALL[dice.index(Mode::ALL.len())];
    // Every other session is such that histories of it can be judged.
    let mode = if (id.0.bits() >> 8).is_multiple_of(2) { Mode::PerParticipant } else { any };
    let increment = if dice.is_one_in(2) { Millis::ZERO } else { Millis::new(dice.below(300)) };
    NewSession {
        id,
        mode,
        total_time: Millis::new(participants.iter().map(|participant| participant.total_time.as_ms()).sum()),
        participants,
        groups: Vec::new(),
        time_per_cycle: (mode == Mode::PerCycle).then(|| length(dice)),
        increment,
        max_time: None,
        on_timeout: OnTimeout::ALL[dice.index(OnTimeout::ALL.len())],
        warn_at: [].into(),
        metadata: None,
        controls: None,
    }
}
