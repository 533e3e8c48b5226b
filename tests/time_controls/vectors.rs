//! The vectors against the engine.

use serde_json::{Map, Value, json};
use synckairos::engine::{Command, Control, Millis, Precondition, Segments, Timestamp, judge};
use synckairos::wire::{decode_sound, encode};

use test_support::instant;

use super::creating::{created, request};
use super::{read, written};

/// Clocks whose turns alternate.
struct Played {
    control: Control,
    clocks: Vec<Segments>,
    active: usize,
    used: Millis,
    since: u64,
}

impl Played {
    /// What is true of the running clock at `at`, and what is left of a turn that begins or goes on there.
    fn members(&self, clock: usize, elapsed: Millis) -> Map<String, Value> {
        let mut now = self.clocks[clock];
        let view = now.view(&self.control, elapsed);
        now.fold(&self.control, elapsed);
        let other = self.clocks[(clock + 1) % self.clocks.len()];
        let members = json!({
            "stage": now.stage, "moves_left": now.moves_left, "main_ms": now.main.as_ms(), "delay_ms": now.free.as_ms(),
            "period_ms": now.period.as_ms(), "periods_left": now.periods, "moves_in_period": now.period_moves,
            "balance_ms": now.balance_ms(), "penalty": now.penalty(&self.control), "moves": now.moves,
            "budget_ms": now.budget(&self.control).map(Millis::as_ms), "turn_used_ms": self.used.as_ms(),
            "phase": view.phase.name(), "counts_ms": view.counts_ms, "to_flag_ms": view.to_flag.map(Millis::as_ms),
            "other_main_ms": other.main.as_ms(),
        });
        members.as_object().expect("it is an object").clone()
    }

    fn step(&mut self, op: &str, at: u64) -> Map<String, Value> {
        let (active, elapsed) = (self.active, Millis::new(at - self.since));
        if op == "view" {
            return self.members(active, elapsed);
        }
        if let Some(budget) = self.clocks[active].budget(&self.control).filter(|budget| elapsed >= *budget) {
            self.clocks[active].fold(&self.control, elapsed);
            assert!(self.clocks[active].is_flagged(&self.control));
            return Map::from_iter([("flag_after_ms".to_owned(), json!(budget.as_ms()))]);
        }
        let charged = self.clocks[active].fold(&self.control, elapsed);
        let other = (active + 1) % self.clocks.len();
        if other != active && self.control.stage(self.clocks[active].stage).transfers {
            self.clocks[other].main += charged;
        }
        self.used += elapsed;
        self.since = at;
        match op {
            "pause" => {}
            "complete" => {
                self.clocks[active].complete(&self.control, self.used);
                (self.used, self.active) = (Millis::ZERO, other);
            }
            other => panic!("{other} is no step"),
        }
        self.members(active, Millis::ZERO)
    }
}

#[test]
fn every_number_is_the_engines() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/time.json"));
    let vectors: Vec<Value> = serde_json::from_str(&text.expect("it is there")).expect("it is JSON");
    assert!(vectors.len() >= 28, "{} vectors", vectors.len());
    for vector in vectors {
        let name = vector["name"].as_str().expect("a vector has a name");
        assert!(vector["source"].is_string(), "{name} has a source");
        let control = read(&vector["control"].to_string()).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let control = control.unwrap_or_else(|| panic!("{name} has a control"));
        written(&control);
        let clocks = usize::try_from(vector["clocks"].as_u64().unwrap_or(1)).expect("few");
        let clocks = vec![Segments::new(&control); clocks];
        let mut played = Played { control, clocks, active: 0, used: Millis::ZERO, since: 0 };
        let (steps, expected) = (vector["steps"].as_array(), vector["expect"].as_array());
        let (steps, expected) = (steps.expect("an array"), expected.expect("an array"));
        assert_eq!(steps.len(), expected.len(), "{name}");
        for (nth, (step, expected)) in steps.iter().zip(expected).enumerate() {
            let (op, at) = (step["op"].as_str().expect("a text"), step["at"].as_u64().expect("a number"));
            let members = played.step(op, at);
            for (member, value) in expected.as_object().expect("an object") {
                assert_eq!(members.get(member), Some(value), "{name}, step {nth}: {member}, of {members:?}");
            }
        }
    }
}

/// The same numbers in the states of sessions, which are stored and read back after each step.
#[test]
fn every_number_is_in_a_state() {
    const BEGIN: u64 = 1_000;
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/time.json"));
    let vectors: Vec<Value> = serde_json::from_str(&text.expect("it is there")).expect("it is JSON");
    let mut compared = 0;
    for vector in &vectors {
        let clocks = vector["clocks"].as_u64().unwrap_or(1);
        let mut session = created(&request("per_participant", vector["control"].clone(), clocks));
        let mut play = |command: Command, at: u64| {
            let at = Timestamp::from_ms(BEGIN + at);
            let after = judge(&session, &command, &Precondition::default(), at).session;
            session = decode_sound(&encode(&after, at).state()).expect("it is read back");
            serde_json::from_slice::<Value>(&encode(&session, at).state()).expect("it is JSON")
        };
        play(Command::Start, 0);
        let (mut active, mut since) = (0, 0);
        let (steps, expected) = (vector["steps"].as_array(), vector["expect"].as_array());
        for (step, expected) in steps.expect("an array").iter().zip(expected.expect("an array")) {
            let at = step["at"].as_u64().expect("a number");
            let state = match step["op"].as_str().expect("a text") {
                "view" => continue,
                "pause" => {
                    play(Command::Pause, at);
                    play(Command::Resume, at)
                }
                _ => play(Command::Switch { next: None, current: None }, at),
            };
            let (one, other) = (&state["participants"][active], &state["participants"][(active + 1) % clocks as usize]);
            for (member, value) in expected.as_object().expect("an object") {
                let shown = match member.as_str() {
                    "flag_after_ms" => json!(instant::ms(&one["expired_at"]) - BEGIN - since),
                    "budget_ms" if value.is_null() => state["deadline_at"].clone(),
                    "budget_ms" => one["time_remaining_ms"].clone(),
                    "turn_used_ms" => state["turn_used_ms"].clone(),
                    "other_main_ms" => other["clock"]["main_ms"].clone(),
                    // What is shown of a moment is no part of a state.
                    "phase" | "counts_ms" | "to_flag_ms" => continue,
                    clock => one["clock"].get(clock).cloned().unwrap_or(json!(0)),
                };
                assert_eq!(shown, *value, "{}: {member} of {state}", vector["name"]);
                compared += 1;
            }
            since = at;
            if step["op"] == "complete" {
                active = (active + 1) % clocks as usize;
            }
        }
    }
    assert!(compared >= 120, "{compared}");
}
