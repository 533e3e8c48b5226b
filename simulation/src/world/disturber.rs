//! Whoever disturbs a run: makes the faults of its plan, one after the other, and puts everything right at its end. Does not
//! know what they are to do harm to.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::client::Instances;
use super::instance::{Instance, Setting};
use super::machine::Machine;
use super::plan::Disturbance;
use crate::dice::Dice;
use crate::host::RedisHost;
use crate::redis::FakeRedis;
use crate::scheduler::Scheduler;

const MS: Duration = Duration::from_millis(1);
/// How long something that is killed is away, at most.
const AWAY_MAX: Duration = Duration::from_millis(700);
/// How long something is halted, at most.
const HALT_MAX: Duration = Duration::from_millis(2_500);
/// How far a clock is set, at most, in microseconds.
const STEP_MAX_US: u64 = 20_000_000;
/// How old what a server kept is at most, when it loses writes.
const LOST_MAX: Duration = Duration::from_millis(1_000);

/// Disturbs a run.
pub(super) struct Disturber {
    /// When.
    pub scheduler: Scheduler,
    /// How.
    pub dice: Dice,
    /// Which machines there are.
    pub machines: Vec<Arc<Machine>>,
    /// What runs there.
    pub instances: Instances,
    /// How it is started again.
    pub setting: Setting,
    /// The server that keeps sessions.
    pub redis: RedisHost,
    /// How many runs of it there were.
    pub redis_runs: u64,
}

impl Disturber {
    /// Makes faults until some time.
    pub(super) async fn disturb(mut self, kinds: Vec<Disturbance>, every: Duration, until: Duration) {
        if kinds.is_empty() {
            return;
        }
        // What the server had some time ago.
        let mut saved = (self.scheduler.now(), self.redis.snapshot());
        loop {
            let pause = self.dice.between(MS, every);
            self.scheduler.sleep(pause).await;
            if self.scheduler.now() >= until {
                return;
            }
            let kind = kinds[self.dice.index(kinds.len())];
            self.disturb_once(kind, &saved.1).await;
            if self.scheduler.now() - saved.0 > self.dice.between(MS, LOST_MAX) || kind == Disturbance::LoseWrites {
                saved = (self.scheduler.now(), self.redis.snapshot());
            }
        }
    }

    async fn disturb_once(&mut self, kind: Disturbance, saved: &FakeRedis) {
        let (away, halt) = (self.dice.between(MS, AWAY_MAX), self.dice.between(MS, HALT_MAX));
        let index = self.dice.index(self.machines.len());
        let machine = Arc::clone(&self.machines[index]);
        match kind {
            Disturbance::KillInstance => {
                let killed = self.replace(index, None);
                machine.kill();
                machine.enter(|| drop(killed));
                self.scheduler.sleep(away).await;
                self.replace(index, Some(Arc::new(Instance::start(&machine, &self.setting))));
            }
            Disturbance::HaltInstance => {
                machine.halt();
                self.scheduler.sleep(halt).await;
                machine.resume();
            }
            Disturbance::KillRedis => {
                self.redis.kill();
                self.scheduler.sleep(away).await;
                let same = self.redis.snapshot();
                self.restart(&same);
            }
            Disturbance::LoseWrites => {
                self.redis.kill();
                self.scheduler.sleep(away).await;
                self.restart(saved);
            }
            Disturbance::HaltRedis => {
                self.redis.halt();
                self.scheduler.sleep(halt).await;
                self.redis.resume();
            }
            Disturbance::CutAll => self.redis.cut_all(),
            Disturbance::StepRedis => {
                let by_us = self.step_us();
                self.redis.step_clock(by_us);
            }
            Disturbance::StepInstance => {
                let by_us = self.step_us();
                machine.step_clock(by_us);
            }
            Disturbance::FillRedis => {
                self.redis.with(|redis| redis.fill(true));
                self.scheduler.sleep(away).await;
                self.redis.with(|redis| redis.fill(false));
            }
            Disturbance::Silence => self.redis.silence(),
        }
    }

    fn restart(&mut self, saved: &FakeRedis) {
        self.redis_runs += 1;
        self.redis.restart(saved, &format!("run-{}", self.redis_runs));
    }

    fn step_us(&mut self) -> i64 {
        let by_us = self.dice.below(STEP_MAX_US).cast_signed();
        if self.dice.is_one_in(2) { by_us } else { -by_us }
    }

    fn replace(&self, index: usize, next: Option<Arc<Instance>>) -> Option<Arc<Instance>> {
        let mut all = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut all[index], next)
    }
}
