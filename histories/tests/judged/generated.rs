//! Right histories: what clients of the model itself are told, who ask at the same time. Steps say what is asked and when, so
//! that a history that fails is made smaller step by step.

use histories::commands::{Outcome, outcomes};
use histories::model::State;
use histories::{
    Answer, Ask, DeadlineWindow, History, Instant, Moves, OnTimeout, Operation, Sighting, Span, Status, View,
};
use proptest::prelude::*;

/// What a client does next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    client: u32,
    what: u8,
    /// How long it waits before it asks, how long until it takes effect, how long until it is answered.
    gap: u64,
    before: u64,
    after: u64,
    fate: u8,
}

/// How the store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Keeps,
    /// It goes back to an earlier state now and then.
    Loses,
}

pub(crate) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..5_u32, 0..24_u8, 0..40_u64, 0..30_u64, 0..30_u64, 0..40_u8);
    let step =
        step.prop_map(|(client, what, gap, before, after, fate)| Step { client, what, gap, before, after, fate });
    prop::collection::vec(step, 1..count)
}

struct Request {
    operation: Operation,
    takes_effect: Option<Instant>,
    fate: u8,
}

/// The history of those steps, and when its store has lost something.
pub(crate) fn history(steps: &[Step], on_timeout: OnTimeout, store: Store) -> (History, Vec<Span>) {
    let mut requests = requests(steps, on_timeout);
    requests.sort_by_key(|request| request.takes_effect);
    let mut server =
        Server { state: State::absent(), deadline: None, epoch: 1_000, past: Vec::new(), seen: Vec::new() };
    let mut losses = Vec::new();
    for request in requests.iter_mut() {
        let Some(at) = request.takes_effect else { continue };
        if store == Store::Loses && request.fate == 17 && !server.past.is_empty() {
            losses.push(Span { from: at, to: at });
            server.forget(at);
        }
        let answer = server.take(request, at);
        if request.operation.answer != Answer::Unknown {
            request.operation.answer = answer;
        }
    }
    let operations = requests.into_iter().map(|request| request.operation).collect();
    (History { operations, sightings: if store == Store::Keeps { server.seen } else { Vec::new() } }, losses)
}

fn requests(steps: &[Step], on_timeout: OnTimeout) -> Vec<Request> {
    let mut free = [0; 5];
    let mut requests = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let invoked = free[step.client as usize] + 1 + step.gap;
        let at = invoked + step.before;
        let returned = at + step.after;
        free[step.client as usize] = returned;
        let (answer, takes_effect) = match step.fate {
            0 => (Answer::Unknown, None),
            1 => (Answer::Unknown, Some(at)),
            2 => (Answer::Unknown, Some(at + 200)),
            _ => (Answer::NotDone, Some(at)),
        };
        let ask = ask(step.what, number as u64, on_timeout);
        let operation = Operation { client: step.client, invoked, returned, ask, answer };
        requests.push(Request { operation, takes_effect, fate: step.fate });
    }
    requests
}

fn ask(what: u8, number: u64, on_timeout: OnTimeout) -> Ask {
    match what {
        0..=2 => Ask::Create { participants: 3, on_timeout },
        3..=7 => Ask::Read,
        8..=10 => Ask::Start,
        11 | 12 => Ask::Switch(Moves::default()),
        13 => Ask::Switch(Moves { current: Some((number % 3) as u8), ..Moves::default() }),
        14 => Ask::Switch(Moves { next: Some((number % 3) as u8), ..Moves::default() }),
        15 => Ask::Switch(Moves { expected: Some(1 + number % 8), ..Moves::default() }),
        16 => Ask::Pause,
        17 => Ask::Resume,
        18..=20 => Ask::Patch { mark: number, expected: None },
        21 => Ask::Patch { mark: number, expected: Some(1 + number % 8) },
        22 if number.is_multiple_of(2) => Ask::Complete,
        22 => Ask::Cancel,
        _ => Ask::Delete { expected: None },
    }
}

/// One that does everything in order.
struct Server {
    state: State,
    /// When the running clock ends.
    deadline: Option<Instant>,
    epoch: u64,
    past: Vec<(State, Option<Instant>)>,
    seen: Vec<Sighting>,
}

impl Server {
    fn take(&mut self, request: &Request, at: Instant) -> Answer {
        let is_due = self.deadline.is_some_and(|deadline| deadline <= at);
        if request.fate == 5 {
            // The next change is made by a process that started meanwhile.
            self.epoch += 10;
        }
        let ends = self.state.flagged();
        if is_due && !ends.is_empty() && request.fate.is_multiple_of(2) {
            self.enter(ends[0].clone(), at);
        }
        let all = outcomes(&self.state, &request.operation.ask);
        let is_due = self.deadline.is_some_and(|deadline| deadline <= at);
        let judged = if is_due && all.len() > 1 { all[1].clone() } else { all[0].clone() };
        if judged.is_changed {
            self.enter(judged.state, at);
        }
        match judged.outcome {
            Outcome::Done => Answer::Done(self.view(&request.operation.ask)),
            Outcome::Late => Answer::Late(self.view(&request.operation.ask)),
            Outcome::Gone => Answer::Gone,
            Outcome::Refused(refusal) => Answer::Refused(refusal),
        }
    }

    fn enter(&mut self, state: State, at: Instant) {
        self.past.push((std::mem::replace(&mut self.state, state), self.deadline));
        let Some(session) = self.state.session() else {
            self.deadline = None;
            return;
        };
        let (is_running, version) = (session.status == Status::Running, session.version);
        self.epoch = self.epoch.max(self.state.above + 1);
        self.state = self.state.told(self.epoch).expect("it is above all others");
        self.deadline = is_running.then_some(at + 40 + version * 7 % 300);
        let last = self.seen.last().map_or(0, |sighting| sighting.at);
        let view = self.view(&Ask::Read);
        self.seen.push(Sighting { at: last.max(at + version * 3 % 50), view });
    }

    fn forget(&mut self, at: Instant) {
        let back = self.past.len() - 1 - (at as usize % self.past.len()).min(4);
        let above = self.epoch.max(self.state.above);
        let (state, deadline) = self.past[back].clone();
        (self.state, self.deadline) = (State { lost: above, ..state }, deadline);
        self.past.truncate(back);
        // What comes next has an epoch of its own.
        self.epoch = above + 1;
    }

    fn view(&self, ask: &Ask) -> View {
        let session = self.state.session().expect("it is there");
        let tag = self.state.tag().expect("it was told");
        let mark = (!matches!(ask, Ask::Switch(_))).then_some(session.mark);
        let deadline = self.deadline.map(|at| DeadlineWindow { earliest: at, latest: at });
        View { tag, status: session.status, active: session.active, out: session.out, mark, deadline }
    }
}
