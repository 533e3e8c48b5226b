//! A run: a seed's instances, clients, watchers and faults, and then a quiet time after which everything must be right. Does
//! not know what that is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use synckairos::engine::{SessionId, Uuid};
use synckairos::random;

use super::client::{Clients, Instances};
use super::database::{Database, DatabaseFaults};
use super::disturber::Disturber;
use super::instance::{Instance, Setting};
use super::machine::Machine;
use super::network::Network;
use super::operation::{Answer, Kind, Operation};
use super::plan::Plan;
use super::subscriber;
use crate::dice::Dice;
use crate::host::{Faults, RedisHost};
use crate::redis::{FakeRedis, Written};
use crate::scheduler::Scheduler;
use crate::scripts;

/// What the clock of Redis shows when a run begins, in microseconds since 1970.
const EPOCH_US: u64 = 1_800_000_000_000_000;
/// How far the clocks of machines are apart, at most, in microseconds.
const APART_US: u64 = 30_000_000;
/// How fast their monotonic clocks go, at most, in millionths.
const DRIFT_MAX_PPM: u64 = 200;
/// How long everything is quiet before it is looked at: connections are made anew.
const QUIET: Duration = Duration::from_secs(3);
/// The same where somebody may have had audit jobs who died, or did not reach the database: leases last 15 s.
const QUIET_LEASED: Duration = Duration::from_secs(24);
/// The same where the database refused: jobs are tried again after 2, 4, 8, 16 and 32 s.
const QUIET_REFUSED: Duration = Duration::from_secs(75);
/// How long the last questions take.
const LAST: Duration = Duration::from_millis(2_500);
/// How long it takes until each client has its answer, and what somebody did to a process is over.
const SETTLING: Duration = Duration::from_secs(4);

/// What came of a run.
pub struct Outcome {
    /// What was planned.
    pub plan: Plan,
    /// All that clients asked.
    pub history: Vec<Operation>,
    /// What was asked at the very end, when nothing went wrong any more.
    pub last: Vec<Operation>,
    /// All values that sessions had in Redis, in order.
    pub writes: Vec<Written>,
    /// What Redis has at the end.
    pub redis: FakeRedis,
    /// The database, if there is one.
    pub database: Option<Database>,
    /// The instances at the end.
    pub instances: Vec<Arc<Instance>>,
    /// The sessions that were asked for.
    pub sessions: Arc<[SessionId]>,
    /// What Redis had, and what its clock showed in microseconds, after the quiet time and before anybody was asked again.
    pub quiet: (FakeRedis, u64),
    /// What instances counted that found Redis behind what they had acknowledged.
    pub behind: u64,
}

/// Carries a seed's plan out.
pub fn run(seed: u64, plan: Plan) -> Outcome {
    // What this thread took before is of another run.
    random::discard();
    let scheduler = Scheduler::new(seed);
    let library = Library::start();
    let _entered = library.0.enter();
    let mut dice = scheduler.dice();
    let (network, redis) = servers(&scheduler, &plan);
    let database = plan.is_audited.then(|| Database::new(dice.split()));
    let setting = Setting { url: "redis://redis".to_owned(), partitions: plan.partitions, database: database.clone() };
    let machines: Vec<_> = (0..plan.instances).map(|name| machine(name, &scheduler, &network, &mut dice)).collect();
    let started = machines.iter().map(|machine| Some(Arc::new(Instance::start(machine, &setting)))).collect();
    let instances: Instances = Arc::new(Mutex::new(started));
    let sessions: Arc<[SessionId]> = (0..plan.sessions).map(|index| session(&mut dice, index)).collect();
    let clients = Clients {
        scheduler: scheduler.clone(),
        instances: Arc::clone(&instances),
        sessions: Arc::clone(&sessions),
        history: Arc::default(),
    };
    let outside = scheduler.process();
    for _ in 0..plan.clients {
        outside.spawn(clients.clone().ask_until(dice.split(), plan.length, plan.pause));
    }
    for (index, &id) in (0..plan.instances).flat_map(|index| sessions.iter().map(move |id| (index, id))) {
        outside.spawn(subscriber::watch(scheduler.clone(), Arc::clone(&instances), index, id));
    }
    redis.set_faults(plan.connections);
    if let Some(database) = &database {
        database.set_faults(plan.database);
    }
    let disturber = Disturber {
        scheduler: scheduler.clone(),
        dice: dice.split(),
        machines: machines.clone(),
        instances: Arc::clone(&instances),
        setting: setting.clone(),
        redis: redis.clone(),
        redis_runs: 0,
    };
    outside.spawn(disturber.disturb(plan.disturbances.clone(), plan.disturbed_every, plan.length));
    // A disturbance that began last is put right, and each client has its answer.
    library.run_for(&scheduler, plan.length + if plan.is_calm() { SETTLING / 4 } else { SETTLING });
    redis.set_faults(Faults::default());
    if let Some(database) = &database {
        database.set_faults(DatabaseFaults::default());
    }
    library.run_for(&scheduler, quiet(&plan));
    let asked = clients.history.lock().unwrap_or_else(PoisonError::into_inner).len();
    let quiet = (redis.snapshot(), redis.now_us());
    ask_all(&scheduler, &clients, &mut dice);
    library.run_for(&scheduler, LAST);
    let mut history = std::mem::take(&mut *clients.history.lock().unwrap_or_else(PoisonError::into_inner));
    let last = history.split_off(asked);
    let writes = redis.with(FakeRedis::take_writes);
    let snapshot = redis.snapshot();
    let all: Vec<_> = instances.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect();
    let behind = all.iter().map(|instance| instance.counter("synckairos_store_sessions_behind")).sum();
    machines.iter().for_each(|machine| machine.kill());
    outside.kill();
    Outcome { plan, history, last, writes, redis: snapshot, database, instances: all, sessions, quiet, behind }
}

/// What the library for Pub/Sub spawns its tasks on: they go on whenever no other can.
struct Library(tokio::runtime::Runtime);

impl Library {
    fn start() -> Self {
        let made = tokio::runtime::Builder::new_current_thread().build();
        Self(made.unwrap_or_else(|error| unreachable!("it needs nothing of the system: {error}")))
    }

    fn run_for(&self, scheduler: &Scheduler, span: Duration) {
        scheduler.run_with(span, || self.0.block_on(tokio::task::yield_now()));
    }
}

fn servers(scheduler: &Scheduler, plan: &Plan) -> (Network, RedisHost) {
    let mut redis = FakeRedis::new("run-0");
    scripts::teach(&mut redis);
    redis.record_writes(b"session:");
    let host = RedisHost::new(scheduler, redis, plan.latency, EPOCH_US);
    let network = Network::new(scheduler);
    network.add("redis", &host);
    (network, host)
}

fn machine(name: usize, scheduler: &Scheduler, network: &Network, dice: &mut Dice) -> Arc<Machine> {
    let epoch_us = EPOCH_US - APART_US / 2 + dice.below(APART_US);
    let drift = dice.below(2 * DRIFT_MAX_PPM + 1).cast_signed() - DRIFT_MAX_PPM.cast_signed();
    Machine::new(name, scheduler, network, epoch_us, drift)
}

fn session(dice: &mut Dice, index: usize) -> SessionId {
    // Version 4 and its variant; room for the ids of participants.
    let bits = u128::from(dice.throw()) << 64 | u128::from(dice.throw());
    let bits = bits & !(0xf << 76) & !(0x3 << 62) & !0xffff | 0x4 << 76 | 0x2 << 62;
    SessionId(Uuid::from_bits(bits | (index as u128) << 8))
}

fn quiet(plan: &Plan) -> Duration {
    let faults = plan.database;
    if faults.refuses.is_some() {
        QUIET_REFUSED
    } else if plan.is_audited && (plan.leaves_leases() || faults.away.or(faults.slow).or(faults.lost_answer).is_some())
    {
        QUIET_LEASED
    } else {
        QUIET
    }
}

/// Every instance is asked to change every session, and then for its state.
fn ask_all(scheduler: &Scheduler, clients: &Clients, dice: &mut Dice) {
    let (clients, mut dice, outside, own) = (clients.clone(), dice.split(), scheduler.process(), scheduler.clone());
    outside.spawn(async move {
        let all = clients.instances.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for kind in [Kind::Patch, Kind::Read] {
            for (index, instance) in all.iter().enumerate() {
                let Some(instance) = instance else { continue };
                for &id in &*clients.sessions {
                    let _: Answer = clients.ask_one(instance, index, &mut dice, id, kind).await;
                }
            }
            own.sleep(Duration::from_secs(1)).await;
        }
    });
}
