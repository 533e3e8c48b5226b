//! What happens in a run, as a seed says: how many take part, and which faults there are. Each run has a few kinds of faults
//! only, so that each kind meets quiet ones, too. Does not know how faults are made.

use std::time::Duration;

use super::database::DatabaseFaults;
use crate::dice::Dice;
use crate::host::Faults;
use crate::stream::Latency;

/// What happens in a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many instances there are.
    pub instances: usize,
    /// How many clients there are.
    pub clients: usize,
    /// How many sessions they ask for.
    pub sessions: usize,
    /// How many partitions there are.
    pub partitions: u16,
    /// Whether changes are audited.
    pub is_audited: bool,
    /// How long clients ask.
    pub length: Duration,
    /// The longest pause between two things that one asks.
    pub pause: Duration,
    /// How long bytes are on their way.
    pub latency: Latency,
    /// What goes wrong between instances and Redis.
    pub connections: Faults,
    /// What goes wrong with the database.
    pub database: DatabaseFaults,
    /// What somebody does to instances and to Redis now and then.
    pub disturbances: Vec<Disturbance>,
    /// The longest pause between two disturbances.
    pub disturbed_every: Duration,
}

/// What somebody does to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// An instance is killed, and started again.
    KillInstance,
    /// An instance is halted for a while.
    HaltInstance,
    /// Redis is killed, and started again with all that it had.
    KillRedis,
    /// Redis is killed, and started again with what it had some time ago; or a replica becomes the master that is behind.
    LoseWrites,
    /// Redis is halted for a while.
    HaltRedis,
    /// All connections are cut.
    CutAll,
    /// Redis' clock is set.
    StepRedis,
    /// An instance's clock is set.
    StepInstance,
    /// Redis has no memory left for a while.
    FillRedis,
    /// Connections that listen are lost without a word.
    Silence,
}

impl Disturbance {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::KillInstance,
        Self::HaltInstance,
        Self::KillRedis,
        Self::LoseWrites,
        Self::HaltRedis,
        Self::CutAll,
        Self::StepRedis,
        Self::StepInstance,
        Self::FillRedis,
        Self::Silence,
    ];
}

impl Plan {
    /// Whether nobody does anything to processes.
    pub fn is_calm(&self) -> bool {
        self.disturbances.is_empty() && self.connections.stall.is_none()
    }

    /// Whether somebody may die, or lose the connection, while it has leased audit jobs.
    pub fn leaves_leases(&self) -> bool {
        let faults = &self.connections;
        self.disturbances.iter().any(|kind| !matches!(kind, Disturbance::StepInstance | Disturbance::Silence))
            || faults.cut_before.is_some()
            || faults.cut_after.is_some()
    }

    /// The plan of a seed.
    pub fn new(dice: &mut Dice) -> Self {
        let ms = Duration::from_millis;
        let least = dice.between(Duration::from_micros(20), ms(1));
        let most = least + if dice.is_one_in(4) { dice.between(ms(1), ms(30)) } else { dice.between(ms(0), ms(2)) };
        let is_audited = !dice.is_one_in(4);
        let disturbances: Vec<_> = Disturbance::ALL.into_iter().filter(|_| dice.is_one_in(5)).collect();
        let often = |dice: &mut Dice, times: u64| dice.is_one_in(4).then(|| times + dice.below(times * 4));
        let connections = Faults { cut_before: often(dice, 60), cut_after: often(dice, 60), stall: often(dice, 30) };
        let database = if is_audited {
            DatabaseFaults {
                away: often(dice, 3),
                slow: often(dice, 6),
                lost_answer: often(dice, 3),
                refuses: dice.is_one_in(16).then(|| 6 + dice.below(24)),
            }
        } else {
            DatabaseFaults::default()
        };
        Self {
            instances: 1 + dice.index(3),
            clients: 1 + dice.index(4),
            sessions: 1 + dice.index(3),
            partitions: if dice.is_one_in(3) { 3 } else { 1 },
            is_audited,
            length: dice.between(ms(800), ms(3_000)),
            pause: dice.between(ms(5), ms(200)),
            latency: Latency { least, most },
            connections,
            database,
            disturbances,
            disturbed_every: dice.between(ms(100), ms(1_500)),
        }
    }
}
