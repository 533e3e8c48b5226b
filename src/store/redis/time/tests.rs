//! Several instances on one Redis whose clock is set, as a story: nobody is off, before and after they agree.

use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::store::Metrics;

use super::correction::{Cause, Correction};
use super::server_clock::{RawReading, ServerClock};

const START_MS: i64 = 1_800_000_000_000;
const ROUND_TRIP_MS: i64 = 2;

/// Instances on one Redis; all times in milliseconds.
struct Fleet {
    start: Moment,
    now: i64,
    /// How far Redis' own clock is ahead.
    ahead: i64,
    key: Option<Correction>,
    /// And for how long the machine of each stood still.
    instances: Vec<(ServerClock, i64)>,
}

impl Fleet {
    fn new() -> Self {
        let start = Clock::system().moment() + Duration::from_secs(3_600);
        let mut fleet = Self { start, now: 0, ahead: 0, key: None, instances: Vec::new() };
        fleet.join();
        fleet.join();
        fleet
    }

    fn join(&mut self) -> usize {
        self.instances.push((ServerClock::new(&Clock::system(), Metrics::default()), 0));
        self.look(self.instances.len() - 1);
        self.instances.len() - 1
    }

    fn raw(&self, place: usize) -> RawReading {
        let sent = self.now - self.instances[place].1;
        let at = |ms: i64| self.start + Duration::from_millis(ms.unsigned_abs());
        let us = (START_MS + self.now + ROUND_TRIP_MS / 2 + self.ahead).unsigned_abs() * 1_000;
        RawReading { us, sent: at(sent), received: at(sent + ROUND_TRIP_MS) }
    }

    /// What the sweep does.
    fn look(&mut self, place: usize) {
        for _ in 0..3 {
            let wanted = self.instances[place].0.judge(self.key, self.raw(place));
            match wanted {
                Some(wanted) => self.key = Some(wanted),
                None => return,
            }
        }
        panic!("it finds no end");
    }

    fn pass(&mut self, ms: i64) {
        self.now += ms;
    }

    /// Time passes in which everybody looks now and then.
    fn run(&mut self, ms: i64) {
        for _ in 0..ms / 500 {
            self.pass(500);
            (0..self.instances.len()).for_each(|place| self.look(place));
        }
    }

    /// How far the server clock of an instance is ahead of what it should be.
    fn off(&self, place: usize) -> i64 {
        let time = self.instances[place].0.read(self.raw(place)).time_us / 1_000;
        time.cast_signed() - START_MS - self.now - ROUND_TRIP_MS / 2
    }

    /// Nobody is off by more than a correction fades, and what round trips explain.
    fn check(&self, what: &str) {
        let off: Vec<_> = (0..self.instances.len()).map(|place| self.off(place)).collect();
        let most = 5 + self.now / 900;
        assert!(off.iter().all(|off| off.abs() <= most), "{what}: {off:?}");
    }

    fn is_kept(&self) -> bool {
        self.key.is_some_and(|correction| correction.cause == Cause::Kept)
    }
}

#[test]
fn a_step_moves_nobody_before_or_after_it_is_agreed_on() {
    for step in [15_000, -10_000, 60, -60, 86_400_000, -1_799_999_000_000] {
        let mut fleet = Fleet::new();
        fleet.run(3_000);
        fleet.ahead += step;
        fleet.check("nobody has looked");
        assert!(fleet.instances[0].0.is_in_doubt());
        fleet.look(0);
        fleet.check("one has");
        let written = fleet.key;
        fleet.look(1);
        assert_eq!(fleet.key, written, "whoever comes second takes it over");
        fleet.check("both have");
        assert!(!fleet.instances.iter().any(|(instance, _)| instance.is_in_doubt()));
        let third = fleet.join();
        fleet.run(10_000);
        fleet.check("a third came");
        assert_eq!(fleet.key, written, "nobody writes it again");
        let told = |place: usize| fleet.instances[place].0.stepped_ms(fleet.start + Duration::from_secs(20));
        assert_eq!([told(0), told(1), told(third)], [Some(step), Some(step), None]);
        assert_eq!(fleet.instances[0].0.stepped_ms(fleet.start + Duration::from_secs(80)), None);
    }
}

#[test]
fn it_fades_for_everybody_alike() {
    let mut fleet = Fleet::new();
    fleet.run(1_000);
    fleet.ahead += 15_000;
    fleet.run(3_600_000);
    for place in 0..2 {
        assert!((3_590..=3_610).contains(&fleet.off(place)), "{} ms in an hour", fleet.off(place));
    }
    fleet.run(12_000_000);
    assert_eq!([fleet.off(0), fleet.off(1)], [15_000, 15_000], "then it is Redis' own");
}

#[test]
fn whoever_looks_late_finds_out_what_it_missed() {
    let mut fleet = Fleet::new();
    fleet.run(1_000);
    fleet.ahead += 15_000;
    fleet.look(0);
    fleet.ahead -= 25_000;
    fleet.look(1);
    fleet.check("two steps were one for the second");
    fleet.look(0);
    fleet.check("and two for the first");
    fleet.ahead += 40_000;
    fleet.look(0);
    // Cut off for an hour.
    fleet.pass(3_600_000);
    fleet.look(0);
    fleet.look(1);
    fleet.check("an hour later");
    assert!((fleet.off(0) - fleet.off(1)).abs() <= 5);
}

#[test]
fn whoever_comes_between_a_step_and_its_correction_takes_that_over() {
    let mut fleet = Fleet::new();
    fleet.run(2_000);
    fleet.ahead += 15_000;
    let third = fleet.join();
    assert_eq!(fleet.off(third), 15_000, "it cannot know");
    fleet.pass(300);
    fleet.look(0);
    fleet.look(third);
    fleet.look(1);
    assert!(!fleet.is_kept());
    fleet.check("all know");
}

#[test]
fn what_is_missing_or_garbage_is_written_again() {
    let mut fleet = Fleet::new();
    fleet.run(2_000);
    fleet.ahead -= 10_000;
    fleet.run(1_000);
    fleet.key = None;
    fleet.run(1_000);
    assert!(fleet.is_kept());
    let third = fleet.join();
    fleet.check("it is there again");
    fleet.look(third);
    fleet.check("and stays");
}

#[test]
fn another_server_with_another_clock_and_an_old_correction_moves_nobody() {
    for (ahead, was_lost) in [(20_000, true), (20_000, false), (0, true), (0, false), (-10_000, true)] {
        let mut fleet = Fleet::new();
        fleet.run(2_000);
        fleet.ahead = -10_000;
        fleet.run(1_000);
        fleet.ahead = ahead;
        fleet.key = fleet.key.filter(|_| !was_lost);
        fleet.run(2_000);
        fleet.check("with the other server");
        fleet.join();
        fleet.check("and one more instance");
    }
}

#[test]
fn who_stood_still_gives_way_to_those_that_did_not() {
    let mut fleet = Fleet::new();
    fleet.run(5_000);
    fleet.pass(60_000);
    fleet.instances[0].1 = 60_000;
    // The other one has looked all the while.
    fleet.look(1);
    fleet.pass(10);
    fleet.look(0);
    assert!(fleet.key.is_some_and(|correction| matches!(correction.cause, Cause::Step { .. })));
    assert_eq!(fleet.off(1), 0, "nobody else is moved");
    fleet.pass(400);
    fleet.look(1);
    assert!(fleet.is_kept());
    let kept = fleet.key;
    fleet.run(5_000);
    fleet.check("all agree");
    assert_eq!(fleet.key, kept, "nobody writes it again");
}

#[test]
fn a_reading_from_before_a_step_is_no_step_back() {
    let mut fleet = Fleet::new();
    fleet.run(2_000);
    let late = fleet.raw(0);
    fleet.ahead += 15_000;
    fleet.look(0);
    let reading = fleet.instances[0].0.read(late);
    assert!((reading.time_us / 1_000).cast_signed().abs_diff(START_MS + fleet.now + 1) <= 2);
    fleet.look(0);
    fleet.check("nothing has happened");
}
